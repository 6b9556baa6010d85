//! One share: what the guest says about it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FileType, Statx};
use rustix::io::{Errno, Result};

use crate::Share;
use crate::cache::Cache;
use crate::emptied::User;
use crate::forget::Names;
use crate::handles::Handles;
use crate::locks::Locks;
use crate::nodes::{Node, Nodes};
use crate::owner::Owners;
use crate::quota::Quota;
use crate::sockets::Sockets;
use crate::wire::{Answer, Fields, Header, MAX_DATA, SOCKETS, init, op};

/// A share and what its guest has been given of it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) nodes: Nodes,
    pub(crate) handles: Handles,
    pub(crate) owners: Owners,
    pub(crate) quota: Option<Quota>,
    pub(crate) cache: Cache,
    pub(crate) locks: Locks,
    pub(crate) sockets: Sockets,
    /// See [`Self::doubtful`].
    doubtful: Mutex<Option<Names>>,
    read_only: bool,
    /// Goes with the session.
    _user: Option<User>,
}

/// Whether a request is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Answered(Result<()>),
    /// There is no answer, or not yet.
    Silent,
    /// The answer is ready, and waits until it is settled whether the guest has a socket for the
    /// file with this number.
    Held(u64),
}

impl Session {
    pub(crate) fn new(
        root: Node,
        share: &Share,
        cache: Cache,
        sockets: Sockets,
        user: Option<User>,
    ) -> Self {
        if let Some(watch) = cache.watch() {
            root.watch(watch);
        }
        Self {
            quota: share.limit.map(|limit| Quota::new(share.source.clone(), limit)),
            nodes: Nodes::new(root, cache.watch().cloned()),
            cache,
            locks: Locks::default(),
            sockets,
            doubtful: Mutex::default(),
            handles: Handles::default(),
            owners: Owners::of_process(),
            read_only: share.read_only,
            _user: user,
        }
    }

    /// Does what a request says, and puts what it returns into `answer`.
    pub(crate) fn perform(
        &self,
        header: &Header,
        mut fields: Fields<'_>,
        answer: &mut Answer,
    ) -> Outcome {
        let fields = &mut fields;
        match header.opcode {
            op::FORGET => {
                if let Ok(count) = fields.u64() {
                    self.forget(header.node, count);
                }
                return Outcome::Silent;
            }
            op::BATCH_FORGET => {
                // A list that is shorter than it says has no more to forget.
                let _ = self.forget_many(fields);
                return Outcome::Silent;
            }
            op::INTERRUPT => {
                if let Ok(unique) = fields.u64() {
                    self.locks.interrupt(unique);
                }
                return Outcome::Silent;
            }
            op::SETLKW => return self.lock_or_wait(header, fields),
            op::LOOKUP => match self.lookup(header, fields, answer) {
                Ok(Some(socket)) => return Outcome::Held(socket),
                result => return Outcome::Answered(result.map(drop)),
            },
            _ if header.node == SOCKETS => {
                return Outcome::Answered(self.in_sockets(header, fields, answer));
            }
            _ => {}
        }
        if self.read_only && changes(header.opcode) {
            return Outcome::Answered(Err(Errno::ROFS));
        }
        let result = match header.opcode {
            op::INIT => self.init(fields, answer),
            op::DESTROY => {
                self.locks.clear();
                self.handles.clear();
                self.nodes.clear();
                Ok(())
            }
            op::GETATTR => self.getattr(header, fields, answer),
            op::SETATTR => self.setattr(header, fields, answer),
            op::READLINK => self.readlink(header, answer),
            op::STATFS => self.statfs(header, answer),
            op::MKNOD => self.mknod(header, fields, answer),
            op::MKDIR => self.mkdir(header, fields, answer),
            op::SYMLINK => self.symlink(header, fields, answer),
            op::LINK => self.link(header, fields, answer),
            op::UNLINK => self.unlink(header, fields, false),
            op::RMDIR => self.unlink(header, fields, true),
            op::RENAME => self.rename(header, fields, false),
            op::RENAME2 => self.rename(header, fields, true),
            op::CREATE => self.create(header, fields, answer),
            op::TMPFILE => self.tmpfile(header, fields, answer),
            op::OPEN => self.open(header, fields, answer),
            op::OPENDIR => self.opendir(header, answer),
            op::RELEASE | op::RELEASEDIR => self.release(fields),
            op::FLUSH => self.flush(header, fields),
            op::GETLK => self.conflict(header, fields, answer),
            op::SETLK => self.lock(header, fields),
            op::READ => self.read(fields, answer),
            op::WRITE => self.write(header, fields, answer),
            op::FSYNC | op::FSYNCDIR => self.fsync(fields),
            op::FALLOCATE => self.fallocate(header, fields),
            op::LSEEK => self.lseek(fields, answer),
            op::COPY_FILE_RANGE => self.copy_file_range(fields, answer),
            op::READDIR => self.readdir(header, fields, answer, false),
            op::READDIRPLUS => self.readdir(header, fields, answer, true),
            op::SETXATTR => self.setxattr(header, fields),
            op::GETXATTR => self.getxattr(header, fields, answer),
            op::LISTXATTR => self.listxattr(header, fields, answer),
            op::REMOVEXATTR => self.removexattr(header, fields),
            // The guest's kernel does it by itself, or does without.
            _ => Err(Errno::NOSYS),
        };
        Outcome::Answered(result)
    }

    /// Whether the guest may not change anything.
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Finds the file that a request is about.
    pub(crate) fn node(&self, header: &Header) -> Result<Arc<Node>> {
        self.nodes.find(header.node)
    }

    /// Finds the directory that a request is about to look into.
    pub(crate) fn directory(&self, header: &Header) -> Result<Arc<Node>> {
        let node = self.node(header)?;
        self.cache.names(&node);
        Ok(node)
    }

    /// Gives the guest a file of a [`Self::directory`] (`struct fuse_entry_out`), and returns its
    /// number and it.
    pub(crate) fn entry(
        &self,
        directory: &Node,
        (node, mut stat): (Node, Statx),
        answer: &mut Answer,
    ) -> Result<(u64, Arc<Node>)> {
        let (number, node) = self.nodes.enter(node);
        let attributes = self.cache.entry(directory, &node, &mut stat)?;
        // Who connects to a socket is to ask whether anybody is there.
        let name = self.cache.names(directory) && node.kind() != FileType::Socket;
        self.known(number, &node, &stat, (name, attributes), answer);
        Ok((number, node))
    }

    /// Appends a `struct fuse_entry_out`; name and attributes may be `believed`.
    pub(crate) fn known(
        &self,
        number: u64,
        node: &Node,
        stat: &Statx,
        believed: (bool, bool),
        answer: &mut Answer,
    ) {
        // Number, generation, and for how long it may be believed.
        answer.u64(number).u64(0).believed(believed.0).believed(believed.1).zeros(4 + 4);
        crate::fs::attributes(stat, self.owners.owner(node, stat), answer);
    }

    /// What the guest knows from another time, until it has been told to doubt it.
    pub(crate) fn doubtful(&self) -> MutexGuard<'_, Option<Names>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a number back.
    fn forget(&self, number: u64, count: u64) {
        if self.nodes.forget(number, count) {
            self.sockets.forgotten(number);
        }
    }

    fn init(&self, fields: &mut Fields<'_>, answer: &mut Answer) -> Result<()> {
        let (major, minor) = (fields.u32()?, fields.u32()?);
        let (readahead, offered) = (fields.u32()?, fields.u32()?);
        if major != MAJOR || minor < LEAST_MINOR || offered & init::MAX_PAGES == 0 {
            return Err(Errno::PROTO);
        }
        answer.u32(MAJOR).u32(MINOR.min(minor)).u32(readahead.min(MAX_DATA as u32));
        // Content that is kept until the guest is told, and files of which none is.
        let second = if offered & init::EXT == 0 { 0 } else { fields.u32()? };
        let mmap = second & init::DIRECT_IO_ALLOW_MMAP;
        let told = self.cache.watch().is_some() && offered & init::EXPLICIT_INVAL_DATA != 0;
        let agreed = told && mmap != 0;
        self.cache.agree(agreed);
        let caching = match agreed {
            true => init::EXPLICIT_INVAL_DATA | init::CACHE_SYMLINKS | init::EXT,
            false => init::AUTO_INVAL_DATA,
        };
        answer.u32(offered & (WANTED | caching));
        // Requests in the background at once, and from when on that counts as congestion.
        answer.u16(32).u16(24);
        // Most bytes of a write, resolution of time in ns, pages of a request.
        answer.u32(MAX_DATA as u32).u32(1).u16((MAX_DATA / 4096) as u16);
        answer.zeros(2).u32(if agreed { mmap } else { 0 }).zeros(4 + 6 * 4);
        Ok(())
    }

    fn forget_many(&self, fields: &mut Fields<'_>) -> Result<()> {
        let count = fields.u32()?;
        fields.skip(4)?;
        for _ in 0..count {
            let node = fields.u64()?;
            self.forget(node, fields.u64()?);
        }
        Ok(())
    }
}

/// Whether an operation changes something. Opening a file does if its flags say so.
fn changes(opcode: u32) -> bool {
    matches!(
        opcode,
        op::SETATTR
            | op::MKNOD
            | op::MKDIR
            | op::SYMLINK
            | op::LINK
            | op::UNLINK
            | op::RMDIR
            | op::RENAME
            | op::RENAME2
            | op::CREATE
            | op::TMPFILE
            | op::WRITE
            | op::FALLOCATE
            | op::COPY_FILE_RANGE
            | op::SETXATTR
            | op::REMOVEXATTR
    )
}

const WANTED: u32 = init::ASYNC_READ
    | init::ATOMIC_O_TRUNC
    | init::BIG_WRITES
    | init::POSIX_LOCKS
    | init::FLOCK_LOCKS
    | init::DO_READDIRPLUS
    | init::READDIRPLUS_AUTO
    | init::ASYNC_DIO
    | init::PARALLEL_DIROPS
    | init::MAX_PAGES
    | init::HANDLE_KILLPRIV_V2;
const MAJOR: u32 = 7;
/// The protocol that this server knows.
const MINOR: u32 = 36;
/// Linux 5.4.
const LEAST_MINOR: u32 = 31;
