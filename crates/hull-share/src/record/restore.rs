//! Going on with what was written down.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, FlockOperation, OFlags, Timespec, Timestamps, utimensat};
use rustix::io::Errno;

use super::find::find;
use super::{File, Handle, Known, Ranges, Record};
use crate::forget;
use crate::fs::openable;
use crate::handles;
use crate::locks::{Owner, Wanted};
use crate::nodes::Node;
use crate::owner::Change;
use crate::raw::Range;
use crate::session::Session;
use crate::wire::ROOT;
use crate::{ServeError, Share};

type Result<T> = std::result::Result<T, ServeError>;

impl Record {
    /// Gives `sessions`, which are new and of `shares`, what was saved; returns open files that have
    /// gone.
    pub(crate) fn restore(
        &self,
        shares: &[Share],
        sessions: &[Arc<Session>],
        deleted: &[OwnedFd],
    ) -> Result<Vec<PathBuf>> {
        if self.shares.len() != sessions.len() || shares.len() != sessions.len() {
            return Err(ServeError::Others);
        }
        let mut gone = Vec::new();
        for (known, (share, session)) in self.shares.iter().zip(shares.iter().zip(sessions)) {
            gone.extend(known.restore(&share.source, session, deleted)?);
        }
        gone.sort();
        gone.dedup();
        Ok(gone)
    }
}

impl Known {
    fn restore(&self, top: &Path, session: &Session, deleted: &[OwnedFd]) -> Result<Vec<PathBuf>> {
        session.cache.agree(self.agreed);
        let root = session.nodes.find(ROOT).map_err(failed)?;
        if (root.kind() == FileType::Directory) != self.directory {
            let (path, directory) = (top.to_owned(), self.directory);
            return Err(ServeError::Changed { path, directory });
        }
        let mut found = find(&root, &self.files);
        for (file, node) in self.files.iter().zip(&mut found) {
            if let Some(kept) = file.deleted.as_ref().and_then(|unnamed| unnamed.kept) {
                let kept = deleted.get(kept).ok_or_else(invalid)?;
                *node = Some(file.unnamed(session, kept).map_err(failed)?);
            }
        }
        let gone = self.handles(top, session, &found)?;
        self.doubt_names(session);
        self.nodes(session, found)?;
        self.lock(top, session)?;
        for number in &self.waiting {
            session.locks.give_up(*number);
        }
        for (number, is_guests) in &self.sockets {
            // One that has gone leads nowhere.
            if let Ok(node) = session.nodes.find(*number) {
                session.sockets.restore(*number, node, *is_guests);
            }
        }
        Ok(gone)
    }

    /// Opens what was open; returns the names of what cannot be.
    fn handles(
        &self,
        top: &Path,
        session: &Session,
        found: &[Option<Node>],
    ) -> Result<Vec<PathBuf>> {
        let mut gone = Vec::new();
        for handle in &self.handles {
            let node = match handle.file {
                Some(file) => found.get(file).ok_or_else(invalid)?.as_ref(),
                None => None,
            };
            let opened = node.and_then(|node| handle.open(node).ok());
            if let (None, Some(file)) = (&opened, handle.file) {
                gone.push(self.files[file].name(top));
            }
            session.handles.restore(handle.number, opened.unwrap_or(handles::Handle::Gone));
        }
        Ok(gone)
    }

    fn nodes(&self, session: &Session, mut found: Vec<Option<Node>>) -> Result<()> {
        for node in self.nodes.iter().filter(|node| node.number != ROOT) {
            // A file has one number.
            let Some(file) = found.get_mut(node.file).ok_or_else(invalid)?.take() else {
                session.nodes.lose(node.number);
                continue;
            };
            if let Some(watch) = session.cache.watch().filter(|_| node.watched) {
                file.watch(watch);
            }
            session.nodes.restore(node.number, node.lookups, file);
        }
        for number in &self.lost {
            session.nodes.lose(*number);
        }
        Ok(())
    }

    /// Has the guest doubt all names that it knows: they may be others' by now.
    fn doubt_names(&self, session: &Session) {
        let path =
            |node: &super::Node| Some((node.number, self.files.get(node.file)?.path.as_deref()?));
        let names = forget::names(self.nodes.iter().filter_map(path));
        *session.doubtful() = Some(names);
    }

    fn lock(&self, top: &Path, session: &Session) -> Result<()> {
        for handle in &self.handles {
            let (Some(exclusive), Some(place)) = (handle.locked, handle.file) else {
                continue;
            };
            let operation = match exclusive {
                true => FlockOperation::NonBlockingLockExclusive,
                false => FlockOperation::NonBlockingLockShared,
            };
            let open = session.handles.find(handle.number).map_err(failed)?;
            if let handles::Handle::File { .. } = *open {
                let wanted = Wanted::Whole { handle: open, operation };
                let locked = session.locks.lock(&wanted);
                locked.map_err(|errno| not_locked(errno, self.files[place].name(top)))?;
            }
        }
        for ranges in &self.ranges {
            let Ok(node) = session.nodes.find(ranges.node) else {
                // What was locked has gone.
                continue;
            };
            let place = self.nodes.iter().find(|node| node.number == ranges.node);
            let file = place.and_then(|node| self.files.get(node.file)).ok_or_else(invalid)?;
            let locked = ranges.lock(session, &node);
            locked.map_err(|errno| not_locked(errno, file.name(top)))?;
        }
        let locked = self.handles.iter().filter(|handle| handle.locked.is_some());
        let locked = locked.filter_map(|handle| handle.file);
        for node in self.nodes.iter().filter(|node| locked.clone().any(|file| file == node.file)) {
            if let Ok(node) = session.nodes.find(node.number) {
                node.note_lock();
            }
        }
        Ok(())
    }
}

impl File {
    /// Returns the file without a name, which `kept` is.
    fn unnamed(&self, session: &Session, kept: &OwnedFd) -> rustix::io::Result<Node> {
        let (node, _) = Node::of(kept)?;
        if node.kind() != self.kind() {
            return Err(Errno::INVAL);
        }
        let Some(unnamed) = &self.deleted else {
            return Ok(node);
        };
        let (uid, gid, mode) = unnamed.owner;
        let change = Change { uid: Some(uid), gid: Some(gid), mode: Some(mode) };
        session.owners.change(&node, change)?;
        let (tv_sec, nanoseconds) = self.changed;
        let time = Timespec { tv_sec, tv_nsec: nanoseconds.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(rustix::fs::CWD, node.path(), &times, AtFlags::empty())?;
        Ok(node)
    }
}

impl Handle {
    fn open(&self, node: &Node) -> rustix::io::Result<handles::Handle> {
        let flags = OFlags::from_bits_retain(self.flags);
        let flags = flags & (OFlags::RWMODE | OFlags::SYNC | OFlags::DSYNC);
        handles::Handle::new(self.kind, node.open(flags)?)
    }
}

impl Ranges {
    fn lock(&self, session: &Session, node: &Node) -> rustix::io::Result<()> {
        node.note_lock();
        let shared = self.locks.iter().all(|(exclusive, ..)| !exclusive);
        let file = Arc::new(openable(node, shared)?);
        let owner = Owner { node: self.node, number: self.owner };
        for &(exclusive, start, length) in &self.locks {
            let kind = if exclusive { libc::F_WRLCK } else { libc::F_RDLCK } as u32;
            for handle in &self.handles {
                let (file, range) = (Arc::clone(&file), Range { kind, start, length });
                let wanted = Wanted::Range { owner, pid: self.pid, handle: *handle, file, range };
                session.locks.lock(&wanted)?;
            }
        }
        Ok(())
    }
}

fn not_locked(errno: Errno, path: PathBuf) -> ServeError {
    match errno {
        Errno::AGAIN | Errno::ACCESS => ServeError::Locked(path),
        errno => failed(errno),
    }
}

fn failed(errno: Errno) -> ServeError {
    ServeError::State(errno.into())
}

fn invalid() -> ServeError {
    failed(Errno::INVAL)
}
