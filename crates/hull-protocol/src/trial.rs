//! What a machine that waits tries of the image it may be used for.

use serde::{Deserialize, Serialize};

/// A program that is run from an image, with nothing but the image, as far as its seccomp program
/// lets it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Trial {
    /// Serial number of the image's disk, which is mounted, and stays so.
    pub image: String,
    /// File system on it.
    pub image_type: String,
    /// First of the arguments, and the only one.
    pub program: String,
    /// `PATH`, the whole of the environment.
    pub path: String,
    /// Working directory.
    pub directory: String,
    /// As in [`crate::Create::seccomp`].
    pub seccomp: String,
    /// Milliseconds that it may take.
    pub limit_ms: u64,
}
