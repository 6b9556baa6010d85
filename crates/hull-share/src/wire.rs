//! FUSE messages as bytes: `struct fuse_*` of `include/uapi/linux/fuse.h`, little-endian, since
//! every guest of Hull is.

use std::ffi::CStr;

use rustix::io::{Errno, Result};

/// Bytes before every message: the number of its share.
pub(crate) const PREFIX: usize = 4;
/// `sizeof(struct fuse_in_header)`.
pub(crate) const IN_HEADER: usize = 40;
/// `sizeof(struct fuse_out_header)`.
pub(crate) const OUT_HEADER: usize = 16;
/// Most bytes that one request reads or writes.
pub(crate) const MAX_DATA: usize = 256 << 10;
/// Longest message: a write, its header, and room for names.
pub(crate) const MAX_MESSAGE: usize = MAX_DATA + 16 * 1024;

/// What a request begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) opcode: u32,
    pub(crate) unique: u64,
    pub(crate) node: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Who asks, in the namespace of whoever mounted it.
    pub(crate) pid: u32,
}

impl Header {
    /// Reads the header of a whole message, and returns the rest.
    pub(crate) fn split(message: &[u8]) -> Result<(Self, Fields<'_>)> {
        let mut fields = Fields(message);
        fields.u32()?;
        let header = Self {
            opcode: fields.u32()?,
            unique: fields.u64()?,
            node: fields.u64()?,
            uid: fields.u32()?,
            gid: fields.u32()?,
            pid: fields.u32()?,
        };
        // The length of extensions that were not asked for.
        fields.skip(4)?;
        Ok((header, fields))
    }
}

/// The rest of a request, read from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn skip(&mut self, length: usize) -> Result<()> {
        self.bytes(length).map(drop)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Takes a string that a null byte ends.
    pub(crate) fn string(&mut self) -> Result<&'a CStr> {
        let string = CStr::from_bytes_until_nul(self.0).map_err(|_| Errno::INVAL)?;
        self.skip(string.count_bytes() + 1)?;
        Ok(string)
    }

    /// Takes the name of a directory's entry.
    pub(crate) fn name(&mut self) -> Result<&'a CStr> {
        let name = self.string()?;
        match name.to_bytes() {
            b"" | b"." | b".." => Err(Errno::INVAL),
            bytes if bytes.contains(&b'/') => Err(Errno::INVAL),
            _ => Ok(name),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// An answer on its way, header and prefix included.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
    /// Where it says for how long something may be believed.
    times: Vec<usize>,
}

impl Answer {
    /// Forgets what was put in.
    pub(crate) fn clear(&mut self) {
        self.times.clear();
        self.bytes.clear();
        self.bytes.resize(PREFIX + OUT_HEADER, 0);
    }

    /// Appends the seconds for which something may be believed: none if it may not.
    pub(crate) fn believed(&mut self, believed: bool) -> &mut Self {
        if !believed {
            return self.u64(0);
        }
        self.times.push(self.bytes.len());
        self.u64(BELIEVED)
    }

    /// Takes back what may be believed.
    pub(crate) fn doubt(&mut self) {
        for at in self.times.drain(..) {
            if let Some(seconds) = self.bytes.get_mut(at..at + 8) {
                seconds.fill(0);
            }
        }
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn zeros(&mut self, count: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len() + count, 0);
        self
    }

    /// Appends `count` zeros, and returns them.
    pub(crate) fn room(&mut self, count: usize) -> &mut [u8] {
        let start = self.bytes.len();
        self.zeros(count);
        &mut self.bytes[start..]
    }

    /// Bytes put in so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - PREFIX - OUT_HEADER
    }

    /// Forgets all but the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(PREFIX + OUT_HEADER + length);
    }

    /// Returns the message that answers request `unique` of `share`.
    pub(crate) fn finish(&mut self, share: u32, unique: u64, result: Result<()>) -> &[u8] {
        let error = match result {
            Ok(()) => 0,
            Err(errno) => {
                self.truncate(0);
                -errno.raw_os_error()
            }
        };
        let length = (self.bytes.len() - PREFIX) as u32;
        self.bytes[..4].copy_from_slice(&share.to_le_bytes());
        self.bytes[4..8].copy_from_slice(&length.to_le_bytes());
        self.bytes[8..12].copy_from_slice(&error.to_le_bytes());
        self.bytes[12..20].copy_from_slice(&unique.to_le_bytes());
        &self.bytes
    }
}

/// Returns a message that answers nothing: `code` is one of [`notify`].
pub(crate) fn notification(share: u32, code: u32, fields: &[u8]) -> Vec<u8> {
    let length = (OUT_HEADER + fields.len()) as u32;
    let head = [share, length, code, 0, 0].map(u32::to_le_bytes);
    [head.as_flattened(), fields].concat()
}

/// The number that no share has: messages with it are not of the kernel's protocol.
///
/// The host sends a [`notification`] with it, whose code is a number of its choice; once the guest has
/// done what came before, it sends a header with that number in place of the operation.
pub(crate) const BARRIER: u32 = u32::MAX;

/// `FUSE_*` operations.
pub(crate) mod op {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FSYNC: u32 = 20;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const SETXATTR: u32 = 21;
    pub(crate) const GETXATTR: u32 = 22;
    pub(crate) const LISTXATTR: u32 = 23;
    pub(crate) const REMOVEXATTR: u32 = 24;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const FSYNCDIR: u32 = 30;
    pub(crate) const GETLK: u32 = 31;
    pub(crate) const SETLK: u32 = 32;
    pub(crate) const SETLKW: u32 = 33;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const FALLOCATE: u32 = 43;
    pub(crate) const READDIRPLUS: u32 = 44;
    pub(crate) const RENAME2: u32 = 45;
    pub(crate) const LSEEK: u32 = 46;
    pub(crate) const COPY_FILE_RANGE: u32 = 47;
    pub(crate) const TMPFILE: u32 = 51;
}

/// `FUSE_*` of `fuse_init_in.flags` and `fuse_init_out.flags`.
pub(crate) mod init {
    pub(crate) const ASYNC_READ: u32 = 1;
    pub(crate) const POSIX_LOCKS: u32 = 1 << 1;
    pub(crate) const ATOMIC_O_TRUNC: u32 = 1 << 3;
    pub(crate) const BIG_WRITES: u32 = 1 << 5;
    pub(crate) const FLOCK_LOCKS: u32 = 1 << 10;
    pub(crate) const AUTO_INVAL_DATA: u32 = 1 << 12;
    pub(crate) const DO_READDIRPLUS: u32 = 1 << 13;
    pub(crate) const READDIRPLUS_AUTO: u32 = 1 << 14;
    pub(crate) const ASYNC_DIO: u32 = 1 << 15;
    pub(crate) const PARALLEL_DIROPS: u32 = 1 << 18;
    pub(crate) const MAX_PAGES: u32 = 1 << 22;
    pub(crate) const CACHE_SYMLINKS: u32 = 1 << 23;
    pub(crate) const EXPLICIT_INVAL_DATA: u32 = 1 << 25;
    pub(crate) const HANDLE_KILLPRIV_V2: u32 = 1 << 28;
    /// There are `flags2`, too.
    pub(crate) const EXT: u32 = 1 << 30;
    /// In `flags2`.
    pub(crate) const DIRECT_IO_ALLOW_MMAP: u32 = 1 << (36 - 32);
}

/// `FATTR_*` of `fuse_setattr_in.valid`.
pub(crate) mod setattr {
    pub(crate) const MODE: u32 = 1;
    pub(crate) const UID: u32 = 1 << 1;
    pub(crate) const GID: u32 = 1 << 2;
    pub(crate) const SIZE: u32 = 1 << 3;
    pub(crate) const ATIME: u32 = 1 << 4;
    pub(crate) const MTIME: u32 = 1 << 5;
    pub(crate) const FH: u32 = 1 << 6;
    pub(crate) const ATIME_NOW: u32 = 1 << 7;
    pub(crate) const MTIME_NOW: u32 = 1 << 8;
    pub(crate) const KILL_SUIDGID: u32 = 1 << 11;
}

/// `FUSE_WRITE_*` of `fuse_write_in.write_flags`.
pub(crate) mod write {
    /// It comes from the page cache: `offset` is where, whatever the file was opened for.
    pub(crate) const CACHE: u32 = 1;
    pub(crate) const KILL_SUIDGID: u32 = 1 << 2;
}

/// `FUSE_OPEN_KILL_SUIDGID` of `fuse_open_in.open_flags`.
pub(crate) const OPEN_KILL_SUIDGID: u32 = 1;
/// `FUSE_FSYNC_FDATASYNC`.
pub(crate) const FSYNC_DATA: u32 = 1;
/// `FOPEN_*` of `fuse_open_out.open_flags`.
pub(crate) mod fopen {
    pub(crate) const DIRECT_IO: u32 = 1;
    pub(crate) const KEEP_CACHE: u32 = 1 << 1;
    pub(crate) const NOFLUSH: u32 = 1 << 5;
}

/// `FUSE_NOTIFY_*`.
pub(crate) mod notify {
    pub(crate) const INVAL_INODE: u32 = 2;
    pub(crate) const INVAL_ENTRY: u32 = 3;
    /// Flag of the latter: the name stays, but is looked up when it is used next.
    pub(crate) const EXPIRE_ONLY: u32 = 1;
}

/// For how many seconds names and attributes may be believed whose changes are heard. What is not
/// heard of them (a write through a mapping of the host's) is seen after that.
const BELIEVED: u64 = 30;
/// `FUSE_LK_FLOCK` of `fuse_lk_in.lk_flags`.
pub(crate) const LK_FLOCK: u32 = 1;
/// `FUSE_ROOT_ID`.
pub(crate) const ROOT: u64 = 1;
/// The number of [`hull_protocol::SOCKETS_DIRECTORY`], which is no file's.
pub(crate) const SOCKETS: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_component() {
        for bad in [&b"\0"[..], b".\0", b"..\0", b"a/b\0", b"/\0", b"a", b""] {
            assert_eq!(Fields(bad).name(), Err(Errno::INVAL), "{bad:?}");
        }
        let mut fields = Fields(b"...\0rest\0");
        assert_eq!(fields.name().unwrap().to_bytes(), b"...");
        assert_eq!(fields.string().unwrap().to_bytes(), b"rest");
        assert_eq!(fields.u32(), Err(Errno::INVAL));
    }

    #[test]
    fn an_error_has_no_body() {
        let mut answer = Answer::default();
        answer.clear();
        answer.u64(7);
        let message = answer.finish(3, 9, Err(Errno::NOENT)).to_vec();
        assert_eq!(message.len(), PREFIX + OUT_HEADER);
        assert_eq!(message[..8], [3, 0, 0, 0, 16, 0, 0, 0]);
        assert_eq!(message[8..12], (-2_i32).to_le_bytes());
        answer.clear();
        answer.u16(1).u32(2);
        assert_eq!(answer.finish(0, 9, Ok(()))[4], 22);
    }
}
