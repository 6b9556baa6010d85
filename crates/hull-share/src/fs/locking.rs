//! Locking files.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::{Errno, Result};

use crate::locks::{Owner, Wanted};
use crate::nodes::Node;
use crate::raw::{self, Range};
use crate::session::{Outcome, Session};
use crate::wire::{Answer, Fields, Header, LK_FLOCK};

/// `struct fuse_lk_in`.
struct Request {
    handle: u64,
    owner: Owner,
    range: Range,
    pid: u32,
    whole: bool,
}

impl Request {
    fn read(header: &Header, fields: &mut Fields<'_>) -> Result<Self> {
        let (handle, number) = (fields.u64()?, fields.u64()?);
        let (start, end) = (fields.u64()?, fields.u64()?);
        let (kind, pid) = (fields.u32()?, fields.u32()?);
        // The end is the last byte; that of the longest file says that there is none.
        let length = match end {
            LAST.. => 0,
            end => (end + 1).checked_sub(start).ok_or(Errno::INVAL)?,
        };
        Ok(Self {
            handle,
            owner: Owner { node: header.node, number },
            range: Range { kind, start, length },
            pid,
            whole: fields.u32()? & LK_FLOCK != 0,
        })
    }

    fn is_unlock(&self) -> bool {
        self.range.kind == libc::F_UNLCK as u32
    }
}

impl Session {
    pub(crate) fn lock(&self, header: &Header, fields: &mut Fields<'_>) -> Result<()> {
        let request = Request::read(header, fields)?;
        if request.is_unlock() && !request.whole {
            return self.locks.unlock(request.owner, request.range);
        }
        self.locks.lock(&self.wanted(header, &request)?)
    }

    /// Locks now or later.
    pub(crate) fn lock_or_wait(&self, header: &Header, fields: &mut Fields<'_>) -> Outcome {
        let request = Request::read(header, fields);
        let wanted = request.and_then(|request| match request.is_unlock() {
            true => Err(Errno::INVAL),
            false => self.wanted(header, &request),
        });
        match wanted.and_then(|wanted| self.locks.lock_or_wait(wanted, header.unique)) {
            Ok(true) => Outcome::Answered(Ok(())),
            Ok(false) => Outcome::Silent,
            Err(errno) => Outcome::Answered(Err(errno)),
        }
    }

    /// Appends `struct fuse_lk_out`: a lock that is in the way of another.
    pub(crate) fn conflict(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let request = Request::read(header, fields)?;
        let file = match self.locks.file(request.owner) {
            Some(file) => file,
            None => Arc::new(self.node(header)?.open(OFlags::RDONLY)?),
        };
        let (range, pid) = match raw::conflict(&file, request.range)? {
            Some(found) => (found, self.locks.holder(request.owner).unwrap_or(0)),
            None => (Range { kind: libc::F_UNLCK as u32, ..request.range }, 0),
        };
        let end = match range.length {
            0 => LAST,
            length => range.start.saturating_add(length) - 1,
        };
        answer.u64(range.start).u64(end).u32(range.kind).u32(pid);
        Ok(())
    }

    /// A program has closed a file, by which it loses its locks.
    pub(crate) fn flush(&self, header: &Header, fields: &mut Fields<'_>) -> Result<()> {
        fields.skip(8 + 4 + 4)?;
        self.locks.close(Owner { node: header.node, number: fields.u64()? });
        Ok(())
    }

    fn wanted(&self, header: &Header, request: &Request) -> Result<Wanted> {
        let node = self.node(header)?;
        node.note_lock();
        let kind = request.range.kind as i32;
        if request.whole {
            let operation = match kind {
                libc::F_RDLCK => FlockOperation::NonBlockingLockShared,
                libc::F_WRLCK => FlockOperation::NonBlockingLockExclusive,
                libc::F_UNLCK => FlockOperation::NonBlockingUnlock,
                _ => return Err(Errno::INVAL),
            };
            return Ok(Wanted::Whole { handle: self.handles.find(request.handle)?, operation });
        }
        let file = match self.locks.file(request.owner) {
            Some(file) => file,
            None => Arc::new(openable(&node, kind == libc::F_RDLCK)?),
        };
        let &Request { handle, owner, range, pid, .. } = request;
        Ok(Wanted::Range { owner, pid, handle, file, range })
    }
}

/// Opens a file to lock ranges of it. Who may only read may lock for that only.
pub(crate) fn openable(node: &Node, shared: bool) -> Result<OwnedFd> {
    match node.open(OFlags::RDWR) {
        Err(_) if shared => node.open(OFlags::RDONLY),
        other => other,
    }
}

/// `OFFSET_MAX` of the guest's kernel.
const LAST: u64 = i64::MAX as u64;
