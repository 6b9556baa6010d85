//! How much a share may hold.
//!
//! The host's file system counts what files take; what a share takes in all is counted here: every
//! write says by how much its file has grown. What is removed, or written by others, is found by
//! counting again, once the limit seems to be reached.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{StatVfs, fstat};
use rustix::io::{Errno, Result};

/// A limit, and what is known of how near it is.
#[derive(Debug)]
pub(crate) struct Quota {
    root: PathBuf,
    limit: u64,
    count: Mutex<Count>,
}

#[derive(Debug)]
struct Count {
    used: u64,
    /// When everything was counted, and how long that took.
    at: Option<(Instant, Duration)>,
}

impl Quota {
    pub(crate) fn new(root: PathBuf, limit: u64) -> Self {
        Self { root, limit, count: Mutex::new(Count { used: 0, at: None }) }
    }

    /// Does what puts `length` bytes into `file` at `offset`, or at its end.
    ///
    /// # Errors
    /// `ENOSPC` if that would be too much.
    pub(crate) fn charge<T>(
        &self,
        file: &OwnedFd,
        offset: Option<u64>,
        length: u64,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let before = fstat(file)?;
        let has_holes = before.st_blocks * 512 < before.st_size;
        let end = offset.map(|offset| offset.saturating_add(length));
        let is_within = end.is_some_and(|end| end <= before.st_size as u64);
        // What is written over takes no more room.
        let growth = if is_within && !has_holes { 0 } else { length };
        if !self.fits(growth) {
            return Err(Errno::NOSPC);
        }
        let done = work();
        let after = fstat(file)?;
        let mut count = self.lock();
        let grown = (after.st_blocks - before.st_blocks) * 512;
        count.used = count.used.saturating_add_signed(grown);
        done
    }

    /// Shows a file system as large as the limit.
    pub(crate) fn apply(&self, stat: &mut StatVfs) {
        self.fits(0);
        let used = self.lock().used;
        let blocks = |bytes: u64| bytes / stat.f_frsize.max(1);
        let free = blocks(self.limit.saturating_sub(used));
        stat.f_blocks = blocks(self.limit);
        stat.f_bfree = stat.f_bfree.min(free);
        stat.f_bavail = stat.f_bavail.min(free);
    }

    fn fits(&self, growth: u64) -> bool {
        let mut count = self.lock();
        let is_old = count.at.is_none_or(|(at, took)| at.elapsed() > took * 20 + SETTLED);
        if count.at.is_none() || (count.used.saturating_add(growth) > self.limit && is_old) {
            let begin = Instant::now();
            count.used = size(&self.root);
            count.at = Some((begin, begin.elapsed()));
        }
        count.used.saturating_add(growth) <= self.limit
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        // A count that was interrupted is a number all the same.
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that a tree takes; what cannot be read counts as nothing.
fn size(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;

    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    let below = match metadata.is_dir() {
        true => std::fs::read_dir(path)
            .map(|entries| entries.flatten().map(|entry| size(&entry.path())).sum())
            .unwrap_or(0),
        false => 0,
    };
    // st_blocks counts 512 bytes.
    below + metadata.blocks() * 512
}

/// A full share is counted again at most as often.
const SETTLED: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_removed_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let quota = Quota::new(dir.path().to_owned(), 256 << 10);
        let write = |name: &str| {
            let mut file = File::create(dir.path().join(name)).unwrap();
            let fd = OwnedFd::from(file.try_clone().unwrap());
            quota.charge(&fd, None, 100 << 10, || {
                file.write_all(&[1; 100 << 10]).unwrap();
                file.sync_all().unwrap();
                Ok(())
            })
        };
        write("a").unwrap();
        write("b").unwrap();
        assert_eq!(write("c"), Err(Errno::NOSPC));
        std::fs::remove_file(dir.path().join("a")).unwrap();
        std::thread::sleep(SETTLED * 4);
        write("c").unwrap();
    }
}
