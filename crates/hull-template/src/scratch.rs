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
    let mut uuid = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut uuid)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let options = hull_ext4::Options::new(hull_ext4::Options::SCRATCH_SIZE, uuid);
    hull_ext4::format(&file, &options).map_err(io::Error::other)
}
