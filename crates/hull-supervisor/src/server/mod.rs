//! The supervisor process.

use std::path::Path;

use rustix::fd::OwnedFd;
use thiserror::Error;

/// Runs the supervisor of the container in `dir` until the container has ended. `control` is the
/// connected socket that the daemon made (standard input in `hull supervisor`).
///
/// Makes the calling process a session leader and runs everything on the calling thread, which
/// must be the process's main thread: the VMM dies with it.
///
/// # Errors
/// [`RunError`]; whatever goes wrong with the container itself is recorded in its state instead.
pub fn run(dir: &Path, control: OwnedFd) -> Result<(), RunError> {
    let _ = (dir, control);
    Err(RunError::NotYet)
}

/// Why a supervisor cannot do its work.
#[derive(Debug, Error)]
pub enum RunError {
    #[error("not there yet")]
    NotYet,
}
