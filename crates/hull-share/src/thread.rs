//! What a thread of the server has for itself.

use rustix::fs::Mode;
use rustix::process::umask;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives the calling thread a mask for new files of its own, which masks nothing: the guest's
/// kernel has done that.
pub(crate) fn unmask() -> rustix::io::Result<()> {
    // SAFETY: the working directory, the root and the mask become the thread's own; descriptors,
    // the one thing that must not, stay shared.
    unsafe { unshare_unsafe(UnshareFlags::FS) }?;
    umask(Mode::empty());
    Ok(())
}
