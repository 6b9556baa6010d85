//! Files and directories that the guest has opened.

use std::collections::HashMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, fcntl_getfl, open};
use rustix::io::{Errno, Result};

/// An open file or directory.
#[derive(Debug)]
pub(crate) enum Handle {
    File {
        file: OwnedFd,
        /// Writes go to the end, wherever that is.
        append: bool,
    },
    /// Who reads it holds it: where it is read from is its only state.
    Directory(Mutex<OwnedFd>),
    /// What was open has gone.
    Gone,
}

impl Handle {
    /// The kind of what has gone, which has no descriptor.
    pub(crate) const GONE: u64 = 3;

    /// Returns the file.
    ///
    /// # Errors
    /// `EISDIR`; `ESTALE`.
    pub(crate) fn file(&self) -> Result<&OwnedFd> {
        match self {
            Self::File { file, .. } => Ok(file),
            Self::Directory(_) => Err(Errno::ISDIR),
            Self::Gone => Err(Errno::STALE),
        }
    }

    /// Says what [`Self::again`] makes of its descriptor.
    pub(crate) fn kind(&self) -> u64 {
        match self {
            Self::File { append: false, .. } => FILE,
            Self::File { append: true, .. } => APPENDED,
            Self::Directory(_) => DIRECTORY,
            Self::Gone => Self::GONE,
        }
    }

    /// Returns another descriptor of what is open; `None` if that has gone.
    pub(crate) fn duplicate(&self) -> Result<Option<OwnedFd>> {
        match self {
            Self::File { file, .. } => rustix::io::fcntl_dupfd_cloexec(file, 0).map(Some),
            Self::Directory(directory) => {
                let directory = directory.lock().unwrap_or_else(PoisonError::into_inner);
                rustix::io::fcntl_dupfd_cloexec(&*directory, 0).map(Some)
            }
            Self::Gone => Ok(None),
        }
    }

    /// Makes one of a new descriptor, which is of the `kind` that [`Self::kind`] said.
    pub(crate) fn new(kind: u64, file: OwnedFd) -> Result<Self> {
        match kind {
            FILE | APPENDED => Ok(Self::File { file, append: kind == APPENDED }),
            DIRECTORY => Ok(Self::Directory(Mutex::new(file))),
            _ => Err(Errno::INVAL),
        }
    }

    /// Makes one of a duplicated descriptor. It is opened again where that can be: position and
    /// locks are the other's.
    pub(crate) fn again(kind: u64, file: OwnedFd) -> Result<Self> {
        let mode = fcntl_getfl(&file)? & (OFlags::RWMODE | OFlags::SYNC | OFlags::DSYNC);
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let file = open(path, mode | OFlags::CLOEXEC, Mode::empty()).unwrap_or(file);
        Self::new(kind, file)
    }
}

const FILE: u64 = 0;
const APPENDED: u64 = 1;
const DIRECTORY: u64 = 2;

/// All that is open in one share.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    open: Mutex<HashMap<u64, Arc<Handle>>>,
    last: AtomicU64,
}

impl Handles {
    /// Gives `handle` a number.
    pub(crate) fn insert(&self, handle: Handle) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.lock().insert(number, Arc::new(handle));
        number
    }

    /// # Errors
    /// `EBADF`.
    pub(crate) fn find(&self, number: u64) -> Result<Arc<Handle>> {
        self.lock().get(&number).cloned().ok_or(Errno::BADF)
    }

    pub(crate) fn remove(&self, number: u64) {
        let removed = self.lock().remove(&number);
        // Closing may take a while; nobody waits for that.
        drop(removed);
    }

    /// Returns every number and what is open.
    pub(crate) fn all(&self) -> Vec<(u64, Arc<Handle>)> {
        self.lock().iter().map(|(number, handle)| (*number, Arc::clone(handle))).collect()
    }

    /// Gives `handle` a number that it had elsewhere.
    pub(crate) fn restore(&self, number: u64, handle: Handle) {
        self.last.fetch_max(number, Ordering::Relaxed);
        self.lock().insert(number, Arc::new(handle));
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Handle>>> {
        // Nothing that panics is done under the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
