//! Empty writable disks.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Makes `path` an empty writable disk with a UUID of its own, in place of what is there.
///
/// # Errors
/// If it cannot be written; what has been written of it is left.
pub fn format(path: &Path) -> io::Result<()> {
    format_with(path, hull_ext4::Options::SCRATCH_SIZE)
}

/// As [`format()`], with a file system of `size` bytes. The disk has the size that all have, so that a
/// guest that was booted with another one can use it.
///
/// # Errors
/// As [`format()`], and if the size is too small or too large.
pub fn format_with(path: &Path, size: u64) -> io::Result<()> {
    let mut uuid = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut uuid)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let options = hull_ext4::Options::new(size, uuid);
    hull_ext4::format(&file, &options).map_err(io::Error::other)?;
    file.set_len(hull_ext4::Options::SCRATCH_SIZE)
}
