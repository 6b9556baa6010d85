//! Reading directories.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FileType, OFlags, RawDir, SeekFrom, seek};
use rustix::io::{Errno, Result};

use crate::handles::Handle;
use crate::nodes::Node;
use crate::session::Session;
use crate::wire::{Answer, Fields, Header, MAX_DATA};

impl Session {
    pub(crate) fn opendir(&self, header: &Header, answer: &mut Answer) -> Result<()> {
        let directory = self.node(header)?.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
        let number = self.handles.insert(Handle::Directory(Mutex::new(directory)));
        answer.u64(number).zeros(8);
        Ok(())
    }

    /// Appends `struct fuse_dirent`s, or with `plus` `struct fuse_direntplus`es, whose files the
    /// guest is given.
    pub(crate) fn readdir(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
        plus: bool,
    ) -> Result<()> {
        let handle = self.handles.find(fields.u64()?)?;
        let (offset, size) = (fields.u64()?, (fields.u32()? as usize).min(MAX_DATA));
        let directory = match &*handle {
            Handle::Directory(directory) => directory,
            Handle::File { .. } => return Err(Errno::NOTDIR),
            Handle::Gone => return Err(Errno::STALE),
        };
        let node = self.directory(header)?;
        let directory = directory.lock().unwrap_or_else(PoisonError::into_inner);
        // An offset is what the host's file system gave for the entry before.
        seek(&*directory, SeekFrom::Start(offset))?;
        self.list(&node, &directory, size, answer, plus)
    }

    fn list(
        &self,
        node: &Node,
        directory: &OwnedFd,
        size: usize,
        answer: &mut Answer,
        plus: bool,
    ) -> Result<()> {
        let mut buffer = [MaybeUninit::uninit(); ENTRIES];
        let mut entries = RawDir::new(directory, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                // What has been found is told first.
                Err(_) if answer.len() > 0 => return Ok(()),
                Err(errno) => return Err(errno),
            };
            let name = entry.file_name();
            let head = if plus { ENTRY_OUT + DIRENT } else { DIRENT };
            if answer.len() + padded(head + name.count_bytes()) > size {
                return Ok(());
            }
            if plus {
                self.plus(node, name, answer);
            }
            answer.u64(entry.ino()).u64(entry.next_entry_cookie());
            answer.u32(name.count_bytes() as u32).u32(kind(entry.file_type()));
            answer.bytes(name.to_bytes());
            answer.zeros(padded(answer.len()) - answer.len());
        }
        Ok(())
    }

    /// Appends an entry's file; a number of 0 says that nothing is known of it.
    fn plus(&self, parent: &Node, name: &CStr, answer: &mut Answer) {
        let found = match name.to_bytes() {
            b"." | b".." => None,
            // It may have gone meanwhile. Of sockets more is to be known before the guest is given them.
            _ => parent.child(name).ok().filter(|(node, _)| node.kind() != FileType::Socket),
        };
        let before = answer.len();
        if found.is_none_or(|found| self.entry(parent, found, answer).is_err()) {
            answer.truncate(before);
            answer.zeros(ENTRY_OUT);
        }
    }
}

/// `DT_*` of a type.
fn kind(kind: FileType) -> u32 {
    match kind {
        FileType::Fifo => 1,
        FileType::CharacterDevice => 2,
        FileType::Directory => 4,
        FileType::BlockDevice => 6,
        FileType::RegularFile => 8,
        FileType::Symlink => 10,
        FileType::Socket => 12,
        FileType::Unknown => 0,
    }
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}

/// Bytes of entries that are read from the host at once.
const ENTRIES: usize = 8 << 10;
/// `sizeof(struct fuse_entry_out)`.
const ENTRY_OUT: usize = 128;
/// `sizeof(struct fuse_dirent)`, without the name.
const DIRENT: usize = 24;
