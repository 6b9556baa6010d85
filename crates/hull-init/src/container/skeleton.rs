//! What Docker puts between an image and a container's own layer: files by which programs know
//! that they are in a container, and the link that mount(8) and df(1) read.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::{Errno, Result};

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
    match rustix::fs::symlinkat("/proc/mounts", &etc, "mtab") {
        // An image whose /etc is not a directory has worse problems.
        Ok(()) | Err(Errno::EXIST | Errno::NOTDIR) => Ok(()),
        Err(errno) => Err(errno),
    }
}
