//! Who uses a volume.
//!
//! Servers that serve the same volume have a file of it open, and know by a lock on it whether
//! there are others: who is alone has all of it for itself. Whoever comes opens the file, which is
//! heard; then the guest forgets what it believes, and after that the lock becomes one that all can
//! have. The kernel unlocks for who dies.

use std::fs::OpenOptions;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::raw::{self, Range};
use crate::watch::{FileHandle, Watch};

#[derive(Debug)]
pub(crate) struct Lease {
    file: OwnedFd,
    handle: Option<FileHandle>,
    /// [`ALONE`], [`ASKED`] or [`TOGETHER`].
    state: AtomicU8,
    /// Others see that this one is here.
    shown: AtomicBool,
    /// Until when somebody who was let in may not have come in yet.
    open_until: Mutex<Instant>,
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
        let alone = handle.is_some() && raw::lock(&file, EXCLUSIVE).is_ok();
        let shown = AtomicBool::new(alone || join(&file)?);
        let state = AtomicU8::new(if alone { ALONE } else { TOGETHER });
        Ok(Self { file, handle, state, shown, open_until: Mutex::new(Instant::now()) })
    }

    /// Whether nobody else uses the volume.
    pub(crate) fn is_alone(&self) -> bool {
        self.state.load(Ordering::SeqCst) == ALONE
    }

    /// Whether it is this file that somebody has opened who is not let in yet. From then on this one
    /// is not alone; [`Self::admit`] has to follow.
    pub(crate) fn opened(&self, handle: &[u8]) -> bool {
        let asked =
            || self.state.compare_exchange(ALONE, ASKED, Ordering::SeqCst, Ordering::SeqCst);
        self.handle.as_deref() == Some(handle) && asked().is_ok()
    }

    /// Lets others in.
    pub(crate) fn admit(&self) {
        // A lock that one has can always be made a weaker one.
        let _ = raw::lock(&self.file, SHARED);
        *self.open_until() = Instant::now() + PATIENCE;
        self.state.store(TOGETHER, Ordering::SeqCst);
    }

    /// Whether [`Self::is_alone`] may become true without notice.
    pub(crate) fn may_change(&self) -> bool {
        self.handle.is_some() && self.state.load(Ordering::SeqCst) == TOGETHER
    }

    /// Looks whether the others have gone by `now`.
    pub(crate) fn look(&self, now: Instant) {
        if !self.may_change() {
            return;
        }
        if !self.shown.load(Ordering::SeqCst) {
            // A server that did not answer when this one came.
            self.shown.store(raw::lock(&self.file, SHARED).is_ok(), Ordering::SeqCst);
        } else if now >= *self.open_until() && raw::lock(&self.file, EXCLUSIVE).is_ok() {
            self.state.store(ALONE, Ordering::SeqCst);
        }
    }

    fn open_until(&self) -> MutexGuard<'_, Instant> {
        self.open_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits to be let in; `false`: it took too long.
fn join(file: &OwnedFd) -> std::io::Result<bool> {
    let begin = Instant::now();
    loop {
        match raw::lock(file, SHARED) {
            Err(Errno::AGAIN | Errno::ACCESS) if begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(Errno::AGAIN | Errno::ACCESS) => return Ok(false),
            other => return other.map(|()| true).map_err(Into::into),
        }
    }
}

/// Nobody else uses the volume.
const ALONE: u8 = 0;
/// Somebody has come, and the guest does not know yet.
const ASKED: u8 = 1;
/// Others may use the volume.
const TOGETHER: u8 = 2;
const EXCLUSIVE: Range = Range { kind: libc::F_WRLCK as u32, start: 0, length: 0 };
const SHARED: Range = Range { kind: libc::F_RDLCK as u32, start: 0, length: 0 };
/// Longer than a guest is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

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
            assert!(!first.opened(b"another file"));
            assert!(first.is_alone());
            assert!(first.opened(&handle) && !first.opened(&handle));
            assert!(!first.is_alone());
            // Who is about to let others in does not take it back, nor before they had time to come.
            let late = Instant::now() + 2 * PATIENCE;
            first.look(late);
            assert!(!first.is_alone());
            first.admit();
            first.look(Instant::now());
            let second = second.join().unwrap();
            assert!(!first.is_alone() && !second.is_alone());
            first.look(late);
            assert!(!first.is_alone());
            drop(second);
            first.look(late);
            assert!(first.is_alone());
        });
    }

    #[test]
    fn who_hears_nobody_is_never_alone() {
        let dir = tempfile::tempdir().unwrap();
        let lease = Lease::open(&dir.path().join("lease"), None).unwrap();
        lease.look(Instant::now() + 2 * PATIENCE);
        assert!(!lease.is_alone());
    }
}
