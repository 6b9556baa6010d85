//! Contents of files.

use std::os::fd::OwnedFd;

use rustix::fs::{FallocateFlags, OFlags, SeekFrom, copy_file_range, fallocate, fdatasync, fsync};
use rustix::io::{Errno, ReadWriteFlags, Result, pread, pwrite, pwritev2};

use crate::handles::Handle;
use crate::nodes::Node;
use crate::session::Session;
use crate::wire::{Answer, FSYNC_DATA, Fields, Header, MAX_DATA, OPEN_KILL_SUIDGID, fopen, write};

/// Returns the flags that the host opens a file with for a guest's, and whether all is appended.
///
/// Appending is done by each write: the same descriptor may have to write pages back that a program
/// has mapped. What the guest reads directly it reads directly from here.
pub(super) fn open_flags(flags: u32) -> (OFlags, bool) {
    let flags = OFlags::from_bits_retain(flags);
    let kept = OFlags::RWMODE | OFlags::TRUNC | OFlags::SYNC | OFlags::DSYNC;
    (flags & kept, flags.contains(OFlags::APPEND))
}

impl Session {
    pub(crate) fn open(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let (flags, open_flags_of_fuse) = (fields.u32()?, fields.u32()?);
        let (flags, append) = open_flags(flags);
        let writes = flags & OFlags::RWMODE != OFlags::RDONLY || flags.contains(OFlags::TRUNC);
        if writes && self.is_read_only() {
            return Err(Errno::ROFS);
        }
        let node = self.node(header)?;
        let file = node.open(flags)?;
        if open_flags_of_fuse & OPEN_KILL_SUIDGID != 0 {
            self.owners.kill_set_id(&node)?;
        }
        self.opened(&node, Handle::File { file, append }, flags, answer)
    }

    /// Appends `struct fuse_open_out`.
    pub(crate) fn opened(
        &self,
        node: &Node,
        handle: Handle,
        flags: OFlags,
        answer: &mut Answer,
    ) -> Result<()> {
        let mut mode = self.cache.open(node, &node.stat()?);
        // What closes is told at once where that may unlock something. Else the last one that
        // closes is enough, which nobody waits for.
        if flags & OFlags::RWMODE != OFlags::RDWR && !node.was_locked() {
            mode |= fopen::NOFLUSH;
        }
        answer.u64(self.handles.insert(handle)).u32(mode).u32(0);
        Ok(())
    }

    pub(crate) fn release(&self, fields: &mut Fields<'_>) -> Result<()> {
        let handle = fields.u64()?;
        self.locks.release(handle);
        self.handles.remove(handle);
        Ok(())
    }

    pub(crate) fn read(&self, fields: &mut Fields<'_>, answer: &mut Answer) -> Result<()> {
        let handle = self.handles.find(fields.u64()?)?;
        let (mut offset, size) = (fields.u64()?, fields.u32()? as usize);
        let file = handle.file()?;
        let size = size.min(MAX_DATA);
        let buffer = answer.room(size);
        let mut filled = 0;
        // Less than was asked for means the end of the file to the guest.
        while filled < size {
            match pread(file, &mut buffer[filled..], offset) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    offset = offset.saturating_add(read as u64);
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        answer.truncate(filled);
        Ok(())
    }

    pub(crate) fn write(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let handle = self.handles.find(fields.u64()?)?;
        let (offset, size, flags) = (fields.u64()?, fields.u32()?, fields.u32()?);
        fields.skip(8 + 4 + 4)?;
        let data = fields.bytes(size as usize)?;
        let (file, append) = match &*handle {
            Handle::File { file, append } => (file, append),
            Handle::Directory(_) => return Err(Errno::BADF),
            Handle::Gone => return Err(Errno::STALE),
        };
        let offset = (!*append || flags & write::CACHE != 0).then_some(offset);
        self.limited(file, offset, u64::from(size), || match offset {
            None => append_all(file, data),
            Some(offset) => write_all(file, data, offset),
        })?;
        let node = self.node(header)?;
        if flags & write::KILL_SUIDGID != 0 {
            self.owners.kill_set_id(&node)?;
        }
        self.cache.wrote(&node);
        answer.u32(size).u32(0);
        Ok(())
    }

    pub(crate) fn fsync(&self, fields: &mut Fields<'_>) -> Result<()> {
        let handle = self.handles.find(fields.u64()?)?;
        let data_only = fields.u32()? & FSYNC_DATA != 0;
        let sync = |fd: &OwnedFd| if data_only { fdatasync(fd) } else { fsync(fd) };
        match &*handle {
            Handle::File { file, .. } => sync(file),
            Handle::Directory(directory) => {
                sync(&directory.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
            }
            Handle::Gone => Err(Errno::STALE),
        }
    }

    pub(crate) fn fallocate(&self, header: &Header, fields: &mut Fields<'_>) -> Result<()> {
        let handle = self.handles.find(fields.u64()?)?;
        let (offset, length, mode) = (fields.u64()?, fields.u64()?, fields.u32()?);
        let mode = FallocateFlags::from_bits(mode).ok_or(Errno::OPNOTSUPP)?;
        let file = handle.file()?;
        let taken = if mode.contains(FallocateFlags::PUNCH_HOLE) { 0 } else { length };
        self.limited(file, Some(offset), taken, || fallocate(file, mode, offset, length))?;
        self.cache.wrote(&*self.node(header)?);
        Ok(())
    }

    pub(crate) fn lseek(&self, fields: &mut Fields<'_>, answer: &mut Answer) -> Result<()> {
        let handle = self.handles.find(fields.u64()?)?;
        let (offset, whence) = (fields.u64()?, fields.u32()?);
        let seek = match whence {
            3 => SeekFrom::Data(offset),
            4 => SeekFrom::Hole(offset),
            // The guest's kernel does the others by itself.
            _ => return Err(Errno::INVAL),
        };
        answer.u64(rustix::fs::seek(handle.file()?, seek)?);
        Ok(())
    }

    pub(crate) fn copy_file_range(
        &self,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let from = self.handles.find(fields.u64()?)?;
        let mut from_offset = fields.u64()?;
        let to_node = fields.u64()?;
        let to = self.handles.find(fields.u64()?)?;
        let mut to_offset = fields.u64()?;
        let length = usize::try_from(fields.u64()?).unwrap_or(usize::MAX).min(MAX_COPY);
        let (from, to) = (from.file()?, to.file()?);
        let copied = self.limited(to, Some(to_offset), length as u64, || {
            copy_file_range(from, Some(&mut from_offset), to, Some(&mut to_offset), length)
        })?;
        self.cache.wrote(&*self.nodes.find(to_node)?);
        // At most what was asked for, which fits.
        answer.u32(copied as u32).u32(0);
        Ok(())
    }
}

impl Session {
    /// Does what puts `length` bytes into `file`, at `offset` or at its end, if there is room.
    fn limited<T>(
        &self,
        file: &OwnedFd,
        offset: Option<u64>,
        length: u64,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        match &self.quota {
            Some(quota) => quota.charge(file, offset, length, work),
            None => work(),
        }
    }
}

fn write_all(file: &OwnedFd, mut data: &[u8], mut offset: u64) -> Result<()> {
    while !data.is_empty() {
        match pwrite(file, data, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                data = &data[written..];
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn append_all(file: &OwnedFd, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        let parts = [std::io::IoSlice::new(data)];
        match pwritev2(file, &parts, 0, ReadWriteFlags::APPEND) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => data = &data[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Bytes that one request copies at most: others wait for the same thread.
const MAX_COPY: usize = 16 << 20;
