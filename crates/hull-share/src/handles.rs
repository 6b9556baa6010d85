//! Files and directories that the guest has opened.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
}

impl Handle {
    /// Returns the file.
    ///
    /// # Errors
    /// `EISDIR`.
    pub(crate) fn file(&self) -> Result<&OwnedFd> {
        match self {
            Self::File { file, .. } => Ok(file),
            Self::Directory(_) => Err(Errno::ISDIR),
        }
    }
}

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

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Handle>>> {
        // Nothing that panics is done under the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
