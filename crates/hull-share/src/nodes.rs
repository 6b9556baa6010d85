//! Files that the guest's kernel knows by number.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags, openat, statx};
use rustix::io::{Errno, Result};

use crate::owner::Kept;
use crate::raw;
use crate::watch::{FileHandle, Watch};
use crate::wire::ROOT;

/// A file, held by a descriptor that can do nothing but name it (`O_PATH`).
#[derive(Debug)]
pub(crate) struct Node {
    fd: OwnedFd,
    kind: FileType,
    identity: Identity,
    /// Changes to the file itself are heard; `None`: nobody has asked for that.
    watched: Mutex<Option<bool>>,
    /// Changes are heard because its directory is watched.
    covered: AtomicBool,
    /// The content that the guest has cached, if it has.
    seen: Mutex<Option<Version>>,
    /// Somebody has locked a part of it.
    locked: AtomicBool,
    /// What is kept of its owner where the file system has no place for that.
    owner: Mutex<Option<Kept>>,
}

/// What tells one content of a file from another: time of its last change, and size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Version(i64, u32, u64);

impl Version {
    fn of(stat: &Statx) -> Self {
        Self(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec, stat.stx_size)
    }
}

/// What tells one file of the host from another while it is held.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Identity {
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
        let node = Self {
            fd,
            kind,
            identity,
            watched: Mutex::default(),
            covered: AtomicBool::new(false),
            seen: Mutex::default(),
            locked: AtomicBool::new(false),
            owner: Mutex::default(),
        };
        Ok((node, stat))
    }

    /// Opens an open file once more, to do nothing but name it.
    pub(crate) fn of(file: &OwnedFd) -> Result<(Self, Statx)> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Self::new(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn kind(&self) -> FileType {
        self.kind
    }

    pub(crate) fn stat(&self) -> Result<Statx> {
        stat(self.fd())
    }

    /// Has changes to it, and to what is directly in it, heard; says whether they are.
    pub(crate) fn watch(&self, watch: &Watch) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        *watched.get_or_insert_with(|| watch.add(self).is_ok())
    }

    /// Whether [`Self::watch`] was asked for, and worked.
    pub(crate) fn is_watched(&self) -> bool {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) == Some(true)
    }

    fn unwatch(&self, watch: &Watch) {
        if self.is_watched() {
            watch.remove(self);
        }
    }

    /// Says that changes to the file are heard through `directory`, which is watched; `false` if
    /// something is mounted on it, or it has other names.
    pub(crate) fn cover(&self, directory: &Self, stat: &Statx) -> bool {
        let covered = self.identity.mount == directory.identity.mount && stat.stx_nlink == 1;
        self.covered.store(covered, Ordering::Relaxed);
        covered
    }

    /// Whether changes to the file are heard.
    pub(crate) fn is_heard(&self, stat: &Statx) -> bool {
        self.is_watched() || (self.covered.load(Ordering::Relaxed) && stat.stx_nlink == 1)
    }

    /// Notes the content that the guest knows; `false` if it is another than before.
    pub(crate) fn see(&self, stat: &Statx) -> bool {
        let version = Version::of(stat);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.replace(version) == Some(version)
    }

    /// Says that somebody has locked a part of it.
    pub(crate) fn note_lock(&self) {
        self.locked.store(true, Ordering::Relaxed);
    }

    pub(crate) fn was_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }

    /// Who owns it, if that has been kept here.
    pub(crate) fn kept(&self) -> Option<Kept> {
        *self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps who owns it, for as long as the guest has it.
    pub(crate) fn keep(&self, owner: Kept) {
        *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(owner);
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
pub(crate) struct Nodes {
    table: Mutex<Table>,
    /// Who hears of changes, if anybody does.
    watch: Option<Arc<Watch>>,
}

#[derive(Debug)]
struct Table {
    nodes: HashMap<u64, Entry>,
    numbers: HashMap<Identity, u64>,
    /// Numbers by what changes are told of, if they are.
    handles: HashMap<FileHandle, u64>,
    /// Numbers of files that have gone.
    lost: HashSet<u64>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    node: Arc<Node>,
    handle: Option<FileHandle>,
    /// How often the guest has been given the number.
    lookups: u64,
}

impl Nodes {
    pub(crate) fn new(root: Node, watch: Option<Arc<Watch>>) -> Self {
        let mut table = Table {
            nodes: HashMap::new(),
            numbers: HashMap::new(),
            handles: HashMap::new(),
            lost: HashSet::new(),
            last: ROOT,
        };
        table.insert(ROOT, Arc::new(root), watch.is_some());
        Self { table: Mutex::new(table), watch }
    }

    /// # Errors
    /// `ESTALE`: the guest has no such number.
    pub(crate) fn find(&self, number: u64) -> Result<Arc<Node>> {
        let table = self.lock();
        table.nodes.get(&number).map(|entry| Arc::clone(&entry.node)).ok_or(Errno::STALE)
    }

    /// Returns the number of a file, which the guest is given once more, and the file.
    pub(crate) fn enter(&self, node: Node) -> (u64, Arc<Node>) {
        let mut table = self.lock();
        let table = &mut *table;
        if let Some(number) = table.numbers.get(&node.identity)
            && let Some(entry) = table.nodes.get_mut(number)
        {
            entry.lookups = entry.lookups.saturating_add(1);
            return (*number, Arc::clone(&entry.node));
        }
        table.last += 1;
        let node = Arc::new(node);
        table.insert(table.last, Arc::clone(&node), self.watch.is_some());
        (table.last, node)
    }

    /// Gives the guest a number once more that it has.
    ///
    /// # Errors
    /// `ENOENT`: it has not.
    pub(crate) fn again(&self, number: u64) -> Result<Arc<Node>> {
        let mut table = self.lock();
        let entry = table.nodes.get_mut(&number).ok_or(Errno::NOENT)?;
        entry.lookups = entry.lookups.saturating_add(1);
        Ok(Arc::clone(&entry.node))
    }

    /// Takes a number back that was given `count` times; says whether the guest has it no more.
    pub(crate) fn forget(&self, number: u64, count: u64) -> bool {
        let mut table = self.lock();
        if number == ROOT {
            return false;
        }
        let Some(entry) = table.nodes.get_mut(&number) else {
            table.lost.remove(&number);
            return false;
        };
        entry.lookups = entry.lookups.saturating_sub(count);
        if entry.lookups == 0 {
            table.remove(number, self.watch.as_deref());
            return true;
        }
        false
    }

    /// Takes all numbers back but the root's.
    pub(crate) fn clear(&self) {
        let mut table = self.lock();
        let numbers: Vec<u64> = table.nodes.keys().copied().filter(|key| *key != ROOT).collect();
        for number in numbers {
            table.remove(number, self.watch.as_deref());
        }
        table.lost.clear();
    }

    /// Returns the number of the file that a change is told of.
    pub(crate) fn number(&self, handle: &[u8]) -> Option<u64> {
        self.lock().handles.get(handle).copied()
    }

    /// Returns every number, how often the guest was given it, and the file.
    pub(crate) fn all(&self) -> Vec<(u64, u64, Arc<Node>)> {
        let table = self.lock();
        let entries = table.nodes.iter();
        entries.map(|(number, entry)| (*number, entry.lookups, Arc::clone(&entry.node))).collect()
    }

    /// Has the guest know `node` by a number that it was given elsewhere.
    pub(crate) fn restore(&self, number: u64, lookups: u64, node: Node) {
        let mut table = self.lock();
        table.insert(number, Arc::new(node), self.watch.is_some());
        if let Some(entry) = table.nodes.get_mut(&number) {
            entry.lookups = lookups;
        }
        table.last = table.last.max(number);
    }

    /// Says that the guest knows a file by `number` that has gone.
    pub(crate) fn lose(&self, number: u64) {
        let mut table = self.lock();
        table.lost.insert(number);
        table.last = table.last.max(number);
    }

    /// Returns the numbers of [`Self::lose`] that the guest still has.
    pub(crate) fn lost(&self) -> Vec<u64> {
        self.lock().lost.iter().copied().collect()
    }

    /// Returns all numbers that the guest has.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let table = self.lock();
        table.nodes.keys().chain(&table.lost).copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing that panics is done under the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, number: u64, node: Arc<Node>, watched: bool) {
        // Without a handle, nothing that happens to it is heard.
        let handle = watched.then(|| raw::file_handle(node.fd()).ok()).flatten();
        if let Some(handle) = &handle {
            self.handles.insert(handle.clone(), number);
        }
        self.numbers.insert(node.identity, number);
        self.nodes.insert(number, Entry { node, handle, lookups: 1 });
    }

    fn remove(&mut self, number: u64, watch: Option<&Watch>) {
        let Some(entry) = self.nodes.remove(&number) else {
            return;
        };
        self.numbers.remove(&entry.node.identity);
        if let Some(handle) = entry.handle {
            self.handles.remove(&handle);
        }
        if let Some(watch) = watch {
            entry.node.unwatch(watch);
        }
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
        let nodes = Nodes::new(Node::new(root).unwrap().0, None);
        let root = nodes.find(ROOT).unwrap();
        let enter = |name| nodes.enter(root.child(name).unwrap().0).0;
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
