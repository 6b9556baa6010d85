//! Who uses a volume.
//!
//! Servers that serve the same volume have a file of it open, and know by a lock on it whether
//! there are others: who is alone has all of it for itself. Whoever comes opens the file, which is
//! heard, and the lock becomes one that all can have. The kernel unlocks for who dies.

use std::fs::OpenOptions;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::raw::{self, Range};
use crate::watch::{FileHandle, Watch};

#[derive(Debug)]
pub(crate) struct Lease {
    file: OwnedFd,
    handle: Option<FileHandle>,
    alone: AtomicBool,
}

impl Lease {
    /// Opens the file `path`, which is made if there is none. Who cannot hear others come is never
    /// alone.
    ///
    /// # Errors
    /// The file can be neither opened nor locked.
    pub(crate) fn open(path: &Path, watch: Option<&Watch>) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = OwnedFd::from(file.open(path)?);
        // Whoever comes after this is heard.
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        let opened = format!("/proc/self/fd/{number}");
        let heard = watch.is_some_and(|watch| watch.add_opens(&opened).is_ok());
        let handle = raw::file_handle(file.as_fd()).ok().filter(|_| heard);
        let alone = handle.is_some() && raw::lock(&file, ALONE).is_ok();
        if !alone {
            join(&file)?;
        }
        Ok(Self { file, handle, alone: AtomicBool::new(alone) })
    }

    /// Whether nobody else uses the volume.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    /// Lets others in if it is this file that somebody has opened.
    pub(crate) fn opened(&self, handle: &[u8]) {
        if self.handle.as_deref() == Some(handle) && self.alone.swap(false, Ordering::Relaxed) {
            // A lock that one has can always be made a weaker one.
            let _ = raw::lock(&self.file, TOGETHER);
        }
    }

    /// Whether [`Self::is_alone`] may become true without notice.
    pub(crate) fn may_change(&self) -> bool {
        self.handle.is_some() && !self.is_alone()
    }

    /// Looks whether the others have gone.
    pub(crate) fn look(&self) {
        if self.may_change() && raw::lock(&self.file, ALONE).is_ok() {
            self.alone.store(true, Ordering::Relaxed);
        }
    }
}

/// Waits to be let in.
fn join(file: &OwnedFd) -> std::io::Result<()> {
    let begin = Instant::now();
    loop {
        match raw::lock(file, TOGETHER) {
            // A server that does not answer does not get its guest's trust back before this one
            // has gone, either.
            Err(Errno::AGAIN | Errno::ACCESS) if begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(Errno::AGAIN | Errno::ACCESS) => return Ok(()),
            other => return other.map_err(Into::into),
        }
    }
}

const ALONE: Range = Range { kind: libc::F_WRLCK as u32, start: 0, length: 0 };
const TOGETHER: Range = Range { kind: libc::F_RDLCK as u32, start: 0, length: 0 };
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_is_let_in_and_who_stays_is_alone_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lease");
        let watch = Watch::new().unwrap();
        let first = Lease::open(&path, Some(&watch)).unwrap();
        assert!(first.is_alone());
        let handle = first.handle.clone().unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| Lease::open(&path, Some(&watch)).unwrap());
            std::thread::sleep(Duration::from_millis(20));
            first.opened(b"another file");
            assert!(first.is_alone());
            first.opened(&handle);
            let second = second.join().unwrap();
            assert!(!first.is_alone() && !second.is_alone());
            first.look();
            assert!(!first.is_alone());
            drop(second);
            first.look();
            assert!(first.is_alone());
        });
    }

    #[test]
    fn who_hears_nobody_is_never_alone() {
        let dir = tempfile::tempdir().unwrap();
        let lease = Lease::open(&dir.path().join("lease"), None).unwrap();
        lease.look();
        assert!(!lease.is_alone());
    }
}
