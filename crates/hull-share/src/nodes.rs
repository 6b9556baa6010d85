//! Files that the guest's kernel knows by number.

use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags, openat, statx};
use rustix::io::{Errno, Result};

use crate::wire::ROOT;

/// A file, held by a descriptor that can do nothing but name it (`O_PATH`).
#[derive(Debug)]
pub(crate) struct Node {
    fd: OwnedFd,
    kind: FileType,
    identity: Identity,
}

/// What tells one file of the host from another while it is held.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Identity {
    device: (u32, u32),
    inode: u64,
    /// The same file under two mounts is two, since the mounts may allow different things.
    mount: u64,
}

impl Node {
    /// Takes a descriptor with `O_PATH`.
    pub(crate) fn new(fd: OwnedFd) -> Result<(Self, Statx)> {
        let stat = stat(fd.as_fd())?;
        let kind = FileType::from_raw_mode(stat.stx_mode.into());
        let identity = Identity {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            mount: stat.stx_mnt_id,
        };
        Ok((Self { fd, kind, identity }, stat))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn kind(&self) -> FileType {
        self.kind
    }

    pub(crate) fn stat(&self) -> Result<Statx> {
        stat(self.fd())
    }

    /// Returns a path that leads to the file itself, even if it is a symbolic link or has been
    /// unlinked.
    pub(crate) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }

    /// Opens it, if it is something that may be opened: whatever else there is on the host (a
    /// device, a pipe) is the host's.
    pub(crate) fn open(&self, flags: OFlags) -> Result<OwnedFd> {
        match self.kind {
            FileType::RegularFile | FileType::Directory => {}
            FileType::Symlink => return Err(Errno::LOOP),
            _ => return Err(Errno::PERM),
        }
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        rustix::fs::open(self.path(), flags, Mode::empty())
    }

    /// Finds the entry `name` of the directory, which is not followed.
    pub(crate) fn child(&self, name: &CStr) -> Result<(Self, Statx)> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::new(openat(&self.fd, name, flags, Mode::empty())?)
    }
}

/// All nodes of one share.
#[derive(Debug)]
pub(crate) struct Nodes(Mutex<Table>);

#[derive(Debug)]
struct Table {
    nodes: HashMap<u64, Entry>,
    numbers: HashMap<Identity, u64>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    node: Arc<Node>,
    /// How often the guest has been given the number.
    lookups: u64,
}

impl Nodes {
    pub(crate) fn new(root: Node) -> Self {
        let numbers = HashMap::from([(root.identity, ROOT)]);
        let root = Entry { node: Arc::new(root), lookups: 1 };
        Self(Mutex::new(Table { nodes: HashMap::from([(ROOT, root)]), numbers, last: ROOT }))
    }

    /// # Errors
    /// `ESTALE`: the guest has no such number.
    pub(crate) fn find(&self, number: u64) -> Result<Arc<Node>> {
        let table = self.lock();
        table.nodes.get(&number).map(|entry| Arc::clone(&entry.node)).ok_or(Errno::STALE)
    }

    /// Returns the number of a file, which the guest is given once more.
    pub(crate) fn enter(&self, node: Node) -> u64 {
        let mut table = self.lock();
        let table = &mut *table;
        if let Some(number) = table.numbers.get(&node.identity)
            && let Some(entry) = table.nodes.get_mut(number)
        {
            entry.lookups = entry.lookups.saturating_add(1);
            return *number;
        }
        table.last += 1;
        table.numbers.insert(node.identity, table.last);
        table.nodes.insert(table.last, Entry { node: Arc::new(node), lookups: 1 });
        table.last
    }

    /// Takes a number back that was given `count` times.
    pub(crate) fn forget(&self, number: u64, count: u64) {
        let mut table = self.lock();
        if number == ROOT {
            return;
        }
        let Some(entry) = table.nodes.get_mut(&number) else {
            return;
        };
        entry.lookups = entry.lookups.saturating_sub(count);
        if entry.lookups == 0
            && let Some(entry) = table.nodes.remove(&number)
        {
            table.numbers.remove(&entry.node.identity);
        }
    }

    /// Takes all numbers back but the root's.
    pub(crate) fn clear(&self) {
        let mut table = self.lock();
        table.nodes.retain(|number, _| *number == ROOT);
        table.numbers.retain(|_, number| *number == ROOT);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing that panics is done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn stat(fd: BorrowedFd<'_>) -> Result<Statx> {
    statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_live_as_long_as_the_guest_has_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "").unwrap();
        std::fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let root = rustix::fs::open(dir.path(), flags, Mode::empty()).unwrap();
        let nodes = Nodes::new(Node::new(root).unwrap().0);
        let root = nodes.find(ROOT).unwrap();
        let enter = |name| nodes.enter(root.child(name).unwrap().0);
        let a = enter(c"a");
        assert_eq!(enter(c"b"), a);
        nodes.forget(a, 1);
        assert!(nodes.find(a).is_ok());
        nodes.forget(a, 1);
        assert_eq!(nodes.find(a).unwrap_err(), Errno::STALE);
        nodes.forget(a, 1);
        nodes.forget(ROOT, 5);
        assert!(nodes.find(ROOT).is_ok());
        assert_ne!(enter(c"a"), a);
    }

    #[test]
    fn only_files_and_directories_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let root = rustix::fs::open(dir.path(), flags, Mode::empty()).unwrap();
        let root = Node::new(root).unwrap().0;
        let fifo = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(root.fd(), "fifo", FileType::Fifo, fifo, 0).unwrap();
        let open = |name| root.child(name).unwrap().0.open(OFlags::RDONLY).unwrap_err();
        assert_eq!(open(c"link"), Errno::LOOP);
        assert_eq!(open(c"fifo"), Errno::PERM);
    }
}
