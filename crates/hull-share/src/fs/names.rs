//! Names: looking them up, making, moving and removing them.

use std::ffi::CStr;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, linkat, mkdirat, mknodat, openat,
    readlinkat, renameat_with, symlinkat, unlinkat,
};
use rustix::io::{Errno, Result};

use super::attributes::is_whiteout;
use super::files::open_flags;
use crate::handles::Handle;
use crate::nodes::Node;
use crate::owner::Owner;
use crate::session::Session;
use crate::sockets;
use crate::wire::{Answer, Fields, Header, SOCKETS};

impl Session {
    /// Returns the number of a socket that the guest may not know yet.
    pub(crate) fn lookup(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<Option<u64>> {
        if header.node == SOCKETS {
            return self.in_sockets(header, fields, answer).map(|()| None);
        }
        let name = fields.name()?;
        if self.is_sockets(header, name) {
            self.answer_sockets(answer);
            return Ok(None);
        }
        let parent = self.directory(header)?;
        match parent.child(name) {
            // That there is none may be believed, too.
            Err(Errno::NOENT) if self.cache.names(&parent) => {
                answer.u64(0).u64(0).believed(true).zeros(8 + 4 + 4 + ATTRIBUTES);
                Ok(None)
            }
            child => {
                let (number, node) = self.entry(&parent, child?, answer)?;
                Ok((!self.sockets.look(number, &node)).then_some(number))
            }
        }
    }

    pub(crate) fn readlink(&self, header: &Header, answer: &mut Answer) -> Result<()> {
        let target = readlinkat(self.node(header)?.fd(), "", Vec::new())?;
        answer.bytes(target.as_bytes());
        Ok(())
    }

    pub(crate) fn mknod(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let (mode, device) = (fields.u32()?, fields.u32()?);
        fields.skip(8)?;
        let kind = FileType::from_raw_mode(mode);
        match kind {
            FileType::RegularFile | FileType::Fifo | FileType::Socket => {}
            FileType::CharacterDevice => is_whiteout(device)?,
            // It would be one of the host's.
            _ => return Err(Errno::PERM),
        }
        let mut socket = None;
        let make = |parent: &Node, name: &CStr, mode: Mode| {
            if kind == FileType::Socket && self.sockets.are_carried() {
                match sockets::bind(parent, name, mode.as_raw_mode()) {
                    Err(Errno::EXIST) => return Err(Errno::EXIST),
                    bound => socket = bound.ok(),
                }
            }
            match socket {
                Some(_) => Ok(()),
                None => mknodat(parent.fd(), name, kind, mode, 0),
            }
        };
        let (number, node) = self.make(header, fields.name()?, (kind, mode), answer, make)?;
        if kind == FileType::Socket {
            self.sockets.made(number, &node, socket);
        }
        Ok(())
    }

    pub(crate) fn mkdir(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let mode = fields.u32()?;
        fields.skip(4)?;
        let make = |parent: &Node, name: &CStr, mode| mkdirat(parent.fd(), name, mode);
        self.make(header, fields.name()?, (FileType::Directory, mode), answer, make).map(drop)
    }

    pub(crate) fn symlink(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let (name, target) = (fields.name()?, fields.string()?);
        let make = |parent: &Node, name: &CStr, _| symlinkat(target, parent.fd(), name);
        self.make(header, name, (FileType::Symlink, 0o777), answer, make).map(drop)
    }

    /// Makes `name` by `make`, gives it to who asked for it, and to the guest.
    fn make(
        &self,
        header: &Header,
        name: &CStr,
        (kind, mode): (FileType, u32),
        answer: &mut Answer,
        make: impl FnOnce(&Node, &CStr, Mode) -> Result<()>,
    ) -> Result<(u64, Arc<Node>)> {
        let parent = self.directory(header)?;
        let owner = Owner { uid: header.uid, gid: header.gid, mode };
        let owner = self.owners.in_directory(&parent, kind, owner)?;
        make(&parent, name, self.owners.creation_mode(kind, mode))?;
        let (node, stat) = parent.child(name)?;
        // Nobody on the host may have put something else there.
        if FileType::from_raw_mode(stat.stx_mode.into()) != kind {
            return Err(Errno::STALE);
        }
        if let Err(errno) = self.owners.adopt(&node, owner) {
            let flags = match kind {
                FileType::Directory => AtFlags::REMOVEDIR,
                _ => AtFlags::empty(),
            };
            // The first failure is the one to tell.
            let _ = unlinkat(parent.fd(), name, flags);
            return Err(errno);
        }
        let stat = node.stat()?;
        self.entry(&parent, (node, stat), answer)
    }

    pub(crate) fn create(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let (flags, mode) = (fields.u32()?, fields.u32()?);
        fields.skip(8)?;
        let name = fields.name()?;
        let parent = self.directory(header)?;
        let owner = Owner { uid: header.uid, gid: header.gid, mode };
        let owner = self.owners.in_directory(&parent, FileType::RegularFile, owner)?;
        let (open, append) = open_flags(flags);
        let fixed = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let host_mode = self.owners.creation_mode(FileType::RegularFile, mode);
        let create =
            |more| openat(parent.fd(), name, open | fixed | OFlags::CREATE | more, host_mode);
        let (file, is_new) = match create(OFlags::EXCL) {
            Ok(file) => (file, true),
            // It has come into being since the guest looked. What is no regular file is not opened.
            Err(Errno::EXIST) if flags & OFlags::EXCL.bits() == 0 => {
                (parent.child(name)?.0.open(open)?, false)
            }
            Err(errno) => return Err(errno),
        };
        let (node, _) = Node::of(&file)?;
        if is_new {
            self.owners.adopt(&node, owner)?;
        }
        let stat = node.stat()?;
        let (_, node) = self.entry(&parent, (node, stat), answer)?;
        self.opened(&node, Handle::File { file, append }, OFlags::from_bits_retain(flags), answer)
    }

    pub(crate) fn tmpfile(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let (flags, mode) = (fields.u32()?, fields.u32()?);
        let parent = self.directory(header)?;
        let owner = Owner { uid: header.uid, gid: header.gid, mode };
        let owner = self.owners.in_directory(&parent, FileType::RegularFile, owner)?;
        let (open, append) = open_flags(flags);
        let exclusive = OFlags::from_bits_retain(flags) & OFlags::EXCL;
        let fixed = OFlags::TMPFILE | OFlags::CLOEXEC | exclusive;
        let host_mode = self.owners.creation_mode(FileType::RegularFile, mode);
        let file = openat(parent.fd(), ".", open | fixed, host_mode)?;
        let (node, _) = Node::of(&file)?;
        self.owners.adopt(&node, owner)?;
        let stat = node.stat()?;
        let (_, node) = self.entry(&parent, (node, stat), answer)?;
        self.opened(&node, Handle::File { file, append }, OFlags::from_bits_retain(flags), answer)
    }

    pub(crate) fn link(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let node = self.nodes.find(fields.u64()?)?;
        let (parent, name) = (self.directory(header)?, fields.name()?);
        // A descriptor can be linked to by root only; its path is followed to what it leads to.
        linkat(CWD, node.path(), parent.fd(), name, AtFlags::SYMLINK_FOLLOW)?;
        self.entry(&parent, parent.child(name)?, answer).map(drop)
    }

    pub(crate) fn unlink(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        directory: bool,
    ) -> Result<()> {
        let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        unlinkat(self.node(header)?.fd(), fields.name()?, flags)?;
        self.sockets.unlinked();
        Ok(())
    }

    pub(crate) fn rename(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        has_flags: bool,
    ) -> Result<()> {
        let to: Arc<Node> = self.nodes.find(fields.u64()?)?;
        let mut flags = RenameFlags::empty();
        if has_flags {
            flags = RenameFlags::from_bits(fields.u32()?).ok_or(Errno::INVAL)?;
            fields.skip(4)?;
        }
        let (old, new) = (fields.name()?, fields.name()?);
        // Others' changes to the file are heard where it goes.
        self.cache.names(&to);
        renameat_with(self.node(header)?.fd(), old, to.fd(), new, flags)?;
        self.sockets.unlinked();
        Ok(())
    }
}

/// `sizeof(struct fuse_attr)`.
const ATTRIBUTES: usize = 88;
