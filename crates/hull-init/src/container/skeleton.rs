//! What Docker puts between an image and a container's own layer: files by which programs know
//! that they are in a container, and the link that mount(8) and df(1) read.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::archive::tree::times;
use crate::container::paths::resolve_or_create;

/// Makes what is missing under `root`.
pub(crate) fn make(root: BorrowedFd<'_>) -> Result<()> {
    let top = resolve_or_create(root, "/", false)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::from_raw_mode(0o755);
    match rustix::fs::openat(&top, ".dockerenv", flags, mode) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let etc = resolve_or_create(root, "/etc", false)?;
    // Asked first: making it would copy the directory into the layer for nothing.
    if rustix::fs::statat(&etc, "mtab", AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Ok(());
    }
    let before = rustix::fs::fstat(&etc)?;
    match rustix::fs::symlinkat("/proc/mounts", &etc, "mtab") {
        Ok(()) => {}
        // An image whose /etc is not a directory has worse problems.
        Err(Errno::EXIST | Errno::NOTDIR) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    // The directory shall not look as if the container had changed it.
    rustix::fs::utimensat(&etc, ".", &times(&before), AtFlags::empty())
}
