//! Locks that the guest's programs have.
//!
//! They are locks of the host's kernel, so that machines that use one volume see each other's, and
//! programs of the host see them, too. Ranges of bytes (fcntl(2)) belong to an owner, which is a
//! process of the guest: each has an open file of its own here, whose locks they are. Locks on
//! whole files (flock(2)) belong to the file that the guest has opened, as they do in the guest.
//! Who has to wait is in a list, so that no thread waits with it.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, Result};

use crate::handles::Handle;
use crate::raw::{self, Range};

/// A program that has locks on a file: number of the file, and what the guest's kernel calls it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Owner {
    pub(crate) node: u64,
    pub(crate) number: u64,
}

/// A lock that is wanted.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// By the process `pid`, through the open file `handle`, for the file's own `file`.
    Range { owner: Owner, pid: u32, handle: u64, file: Arc<OwnedFd>, range: Range },
    /// On what is open; not one of those that wait.
    Whole { handle: Arc<Handle>, operation: FlockOperation },
}

/// Ranges that one owner has locked.
#[derive(Debug)]
struct Held {
    file: Arc<OwnedFd>,
    pid: u32,
    /// The open files that it has locked through.
    handles: Vec<u64>,
}

#[derive(Debug)]
struct Waiting {
    /// Number of the request that is answered when the lock is there.
    unique: u64,
    wanted: Wanted,
}

/// All locks of one share.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    held: HashMap<Owner, Held>,
    waiting: Vec<Waiting>,
    /// Requests that were given up, perhaps before they came to wait.
    interrupted: VecDeque<u64>,
    /// Answers for requests that wait no more.
    settled: Vec<(u64, Result<()>)>,
}

impl Locks {
    /// Returns the file for an owner's locks, if there is one already.
    pub(crate) fn file(&self, owner: Owner) -> Option<Arc<OwnedFd>> {
        self.table().held.get(&owner).map(|held| Arc::clone(&held.file))
    }

    /// Locks at once.
    ///
    /// # Errors
    /// `EAGAIN`: somebody else has a lock that conflicts.
    pub(crate) fn lock(&self, wanted: &Wanted) -> Result<()> {
        self.table().lock(wanted)
    }

    /// Locks for the request `unique`, as soon as that can be; `false`: it waits.
    pub(crate) fn lock_or_wait(&self, wanted: Wanted, unique: u64) -> Result<bool> {
        let mut table = self.table();
        match table.lock(&wanted) {
            Err(Errno::AGAIN | Errno::ACCESS) if table.interrupted.contains(&unique) => {
                Err(Errno::INTR)
            }
            Err(Errno::AGAIN | Errno::ACCESS) => {
                table.waiting.push(Waiting { unique, wanted });
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }

    /// Unlocks a range; a length of 0 reaches to the end.
    pub(crate) fn unlock(&self, owner: Owner, range: Range) -> Result<()> {
        let mut table = self.table();
        let Some(held) = table.held.get(&owner) else {
            return Ok(());
        };
        if range.start == 0 && range.length == 0 {
            table.held.remove(&owner);
        } else {
            raw::lock(&held.file, range)?;
        }
        table.retry();
        Ok(())
    }

    /// Unlocks all that an owner has locked in a file: it has closed it.
    pub(crate) fn close(&self, owner: Owner) {
        let mut table = self.table();
        if table.held.remove(&owner).is_some() {
            table.retry();
        }
    }

    /// Unlocks what was locked through an open file, which nobody has open any more.
    pub(crate) fn release(&self, handle: u64) {
        self.table().held.retain(|_, held| !held.handles.contains(&handle));
    }

    /// Returns the process that keeps an owner from a lock, if it is of this machine.
    pub(crate) fn holder(&self, owner: Owner) -> Option<u32> {
        let table = self.table();
        let mut others = table
            .held
            .iter()
            .filter(|(other, _)| other.node == owner.node && other.number != owner.number);
        match (others.next(), others.next()) {
            (Some((_, held)), None) => Some(held.pid),
            _ => None,
        }
    }

    /// Gives up a request that may wait.
    pub(crate) fn interrupt(&self, unique: u64) {
        let mut table = self.table();
        match table.waiting.iter().position(|waiting| waiting.unique == unique) {
            Some(place) => {
                table.waiting.swap_remove(place);
                table.settled.push((unique, Err(Errno::INTR)));
            }
            None => {
                table.interrupted.truncate(REMEMBERED - 1);
                table.interrupted.push_front(unique);
            }
        }
    }

    /// Returns the requests that wait, and those whose end nobody has been told of.
    pub(crate) fn waiting(&self) -> Vec<u64> {
        let table = self.table();
        let waiting = table.waiting.iter().map(|waiting| waiting.unique);
        waiting.chain(table.settled.iter().map(|(unique, _)| *unique)).collect()
    }

    /// Returns who has locked ranges: its process, the open files that it has locked through, and
    /// the file whose locks they are.
    pub(crate) fn held(&self) -> Vec<(Owner, u32, Vec<u64>, Arc<OwnedFd>)> {
        let table = self.table();
        let held = table.held.iter();
        held.map(|(owner, held)| (*owner, held.pid, held.handles.clone(), Arc::clone(&held.file)))
            .collect()
    }

    /// Answers a request that has waited elsewhere.
    pub(crate) fn give_up(&self, unique: u64) {
        self.table().settled.push((unique, Err(Errno::INTR)));
    }

    /// Whether any request waits.
    pub(crate) fn is_waited_for(&self) -> bool {
        let table = self.table();
        !table.waiting.is_empty() || !table.settled.is_empty()
    }

    /// Tries for all that wait, and returns the requests that wait no more.
    pub(crate) fn settle(&self) -> Vec<(u64, Result<()>)> {
        let mut table = self.table();
        table.retry();
        std::mem::take(&mut table.settled)
    }

    /// Unlocks everything.
    pub(crate) fn clear(&self) {
        *self.table() = Table::default();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing that panics is done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn lock(&mut self, wanted: &Wanted) -> Result<()> {
        match wanted {
            Wanted::Whole { handle, operation } => flock(handle.file()?, *operation),
            Wanted::Range { owner, pid, handle, file, range } => {
                let held = self.held.entry(*owner).or_insert_with(|| Held {
                    file: Arc::clone(file),
                    pid: *pid,
                    handles: Vec::new(),
                });
                let locked = raw::lock(&held.file, *range);
                if locked.is_ok() && !held.handles.contains(handle) {
                    held.handles.push(*handle);
                } else if held.handles.is_empty() {
                    self.held.remove(owner);
                }
                locked
            }
        }
    }

    fn retry(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            match self.lock(&waiting.wanted) {
                Err(Errno::AGAIN | Errno::ACCESS) => self.waiting.push(waiting),
                result => self.settled.push((waiting.unique, result)),
            }
        }
    }
}

/// Requests given up that may still come to wait.
const REMEMBERED: usize = 64;

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    const WRITE: Range = Range { kind: libc::F_WRLCK as u32, start: 0, length: 10 };

    fn wanted(file: &tempfile::NamedTempFile, number: u64, handle: u64) -> Wanted {
        let file = File::options().read(true).write(true).open(file.path()).unwrap();
        let owner = Owner { node: 1, number };
        Wanted::Range { owner, pid: 7, handle, file: Arc::new(file.into()), range: WRITE }
    }

    #[test]
    fn who_waits_is_served_when_others_let_go() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let locks = Locks::default();
        let owner = |number| Owner { node: 1, number };
        locks.lock(&wanted(&file, 1, 1)).unwrap();
        // Its own locks are in nobody's way.
        locks.lock(&wanted(&file, 1, 2)).unwrap();
        assert_eq!(locks.lock(&wanted(&file, 2, 3)), Err(Errno::AGAIN));
        assert_eq!(locks.holder(owner(2)), Some(7));
        assert_eq!(locks.lock_or_wait(wanted(&file, 2, 3), 50), Ok(false));
        assert!(locks.settle().is_empty());
        locks.close(owner(1));
        assert_eq!(locks.settle(), [(50, Ok(()))]);
        assert_eq!(locks.lock_or_wait(wanted(&file, 1, 1), 51), Ok(false));
        locks.interrupt(51);
        assert_eq!(locks.settle(), [(51, Err(Errno::INTR))]);
        locks.interrupt(52);
        assert_eq!(locks.lock_or_wait(wanted(&file, 1, 1), 52), Err(Errno::INTR));
        locks.release(3);
        assert_eq!(locks.lock(&wanted(&file, 1, 1)), Ok(()));
    }

    #[test]
    fn ranges_are_apart() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let locks = Locks::default();
        locks.lock(&wanted(&file, 1, 1)).unwrap();
        let part = Range { kind: libc::F_UNLCK as u32, start: 0, length: 5 };
        locks.unlock(Owner { node: 1, number: 1 }, part).unwrap();
        let Wanted::Range { owner, pid, handle, file, .. } = wanted(&file, 2, 2) else {
            unreachable!()
        };
        let range = Range { length: 5, ..WRITE };
        locks.lock(&Wanted::Range { owner, pid, handle, file: Arc::clone(&file), range }).unwrap();
        let found = raw::conflict(&file, Range { start: 5, length: 1, ..WRITE }).unwrap();
        assert_eq!(found, Some(Range { start: 5, length: 5, ..WRITE }));
    }
}
