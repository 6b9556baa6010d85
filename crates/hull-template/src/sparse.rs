//! Copies of sparse files.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{SeekFrom, copy_file_range, seek};
use rustix::io::Errno;

/// Makes `to` a copy of the file `from` with the same holes: what is not there is not copied. On
/// file systems that can share blocks, they are shared. `to` must not exist.
///
/// # Errors
/// If a file cannot be read or written; `to` is removed then.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let target = File::options().write(true).create_new(true).open(to)?;
    let copied = rustix::fs::fchmod(&target, rustix::fs::Mode::from_raw_mode(0o600))
        .map_err(io::Error::from)
        .and_then(|()| copy_into(&source, &target));
    if copied.is_err() {
        // What is half a copy is of no use.
        let _ = std::fs::remove_file(to);
    }
    copied
}

/// Makes the empty file `target` a copy of `source` with the same holes, as [`copy`] does.
///
/// # Errors
/// If a file cannot be read or written.
pub fn copy_into(source: &File, target: &File) -> io::Result<()> {
    let size = source.metadata()?.len();
    target.set_len(size)?;
    let mut end = 0;
    loop {
        let start = match seek(source, SeekFrom::Data(end)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        end = seek(source, SeekFrom::Hole(start))?;
        copy_extent(source, target, start, end)?;
    }
}

fn copy_extent(source: &File, target: &File, start: u64, end: u64) -> io::Result<()> {
    let (mut from, mut to) = (start, start);
    while from < end {
        let length = usize::try_from(end - from).unwrap_or(usize::MAX);
        match copy_file_range(source, Some(&mut from), target, Some(&mut to), length) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            // Between file systems, and where there is no such call for these.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return copy_bytes(source, target, from, end);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn copy_bytes(source: &File, target: &File, start: u64, end: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;

    let mut buffer = vec![0; 256 << 10];
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        source.read_exact_at(&mut buffer[..length], at)?;
        target.write_all_at(&buffer[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    #[test]
    fn holes_stay_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let file = File::create(&from).unwrap();
        file.set_len(1 << 30).unwrap();
        file.write_all_at(b"begin", 0).unwrap();
        file.write_all_at(&[7; 100_000], 5 << 20).unwrap();
        file.write_all_at(b"x", (1 << 30) - 1).unwrap();
        copy(&from, &to).unwrap();
        let copied = File::open(&to).unwrap();
        let (left, right) = (file.metadata().unwrap(), copied.metadata().unwrap());
        assert_eq!((left.len(), left.blocks()), (right.len(), right.blocks()));
        for (at, length) in [(0, 5), (5 << 20, 100_000), ((1 << 30) - 1, 1)] {
            let (mut left, mut right) = (vec![0; length], vec![0; length]);
            File::open(&from).unwrap().read_exact_at(&mut left, at).unwrap();
            copied.read_exact_at(&mut right, at).unwrap();
            assert_eq!(left, right);
        }
        assert!(copy(&from, &to).is_err());
        assert!(to.exists());
    }
}
