//! The image writer.

use std::io::{self, Write};

use hull_layer::Merged;
use thiserror::Error;

/// Where the parts of the disk lie; all in bytes and multiples of 4096.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    /// Length of the image that was written.
    pub meta_len: u64,
    /// Position of each layer's data on the disk.
    pub layer_offsets: Vec<u64>,
    /// End of the last layer's data: what the disk must hold before its zeros.
    pub disk_len: u64,
    /// UUID of the file system, derived from its content.
    pub uuid: [u8; 16],
}

/// Why an image cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    #[error("cannot write the file system image")]
    Io(#[source] io::Error),
    #[error("the image needs {needed} bytes of disk, more than the {available} that there are")]
    TooLarge { needed: u64, available: u64 },
}

/// Writes the metadata image of `merged` to `out`. `layer_lengths` are the bytes of each layer's
/// data blob ([`hull_layer::Converted::data_len`]), the lowest layer first, as they were given to
/// [`hull_layer::merge`]. The same input gives the same bytes.
///
/// # Errors
/// If `out` cannot be written or the tree exceeds what the format or [`crate::DISK_SIZE`] holds.
#[expect(clippy::todo)]
pub fn write(
    _merged: &Merged,
    _layer_lengths: &[u64],
    _out: &mut impl Write,
) -> Result<Layout, WriteError> {
    todo!()
}
