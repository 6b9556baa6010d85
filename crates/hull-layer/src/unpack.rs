//! Unpacks entries into a tree, as Docker's `archive.Unpack` does into an empty directory.
//!
//! The rules were recorded from Docker 20.10 with `overlay2` (see `tests/docker`). Where Docker
//! refuses a layer that the OCI image specification allows - a name with a whiteout beside it,
//! duplicate entries, hard links into lower layers, old GNU sparse files - this follows the
//! specification; where a path leads out of the root, Docker moves it back in and this refuses.

mod acl;
mod path;
mod xattr;

use thiserror::Error;

use crate::archive::Entry;
use crate::limits::Limits;
use crate::tree::{Device, Directory, Inode, InodeId, Kind, Slot, Timestamp, Tree};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Names of AUFS's own files; they mean nothing outside of it.
const AUFS: &[u8] = b".wh..wh.";

/// Why an entry cannot be unpacked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EntryError {
    #[error("extended attribute `{name}`: {problem}")]
    Attribute { name: String, problem: &'static str },
    #[error("its path leads through `{component}`, a symbolic link to nothing")]
    Dangling { component: String },
    #[error("its path leads out of the root directory")]
    Escapes,
    #[error("its hard link target `{target}` is a directory")]
    LinkToDirectory { target: String },
    #[error("its path leads through `{component}`, which is not a directory")]
    NotDirectory { component: String },
    #[error("the root directory cannot be anything else")]
    Root,
    #[error("its path leads through too many symbolic links")]
    SymlinkLoop,
    #[error("its link target is empty")]
    TargetEmpty,
    #[error("its {what} has {len} bytes, more than the {max} that are allowed")]
    TooLong { what: &'static str, len: usize, max: usize },
    #[error("tar entries of type `{0}` are not supported")]
    Type(char),
    #[error("a whiteout of nothing")]
    Whiteout,
}

/// Where an entry goes.
#[derive(Debug)]
pub(crate) enum Place {
    /// Nowhere: it was a mark, which is applied, or is to be ignored.
    Done,
    Name(InodeId, Box<[u8]>),
    Root,
}

/// A tree under construction.
#[derive(Debug)]
pub(crate) struct Unpacker {
    inodes: Vec<Inode>,
    max_path: usize,
    max_xattrs: usize,
    /// Bytes of names, targets and extended attributes so far.
    metadata: u64,
}

impl Unpacker {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            inodes: Tree::empty().inodes,
            max_path: limits.max_path_bytes,
            max_xattrs: limits.max_xattr_bytes,
            metadata: 0,
        }
    }

    /// Finds the place of `entry`; creates directories that have no entry of their own. Whiteouts
    /// and opaque marks are applied at once.
    pub(crate) fn place(&mut self, entry: &Entry) -> Result<Place, EntryError> {
        self.metadata += (entry.name.len() + entry.link.len()) as u64;
        self.check_len("path", entry.name.len(), self.max_path)?;
        let components = path::clean(&entry.name)?;
        let Some((name, parents)) = components.split_last() else {
            // Docker skips `./` and applies `/`.
            return match entry.kind {
                _ if entry.name.first() != Some(&b'/') => Ok(Place::Done),
                b'5' => Ok(Place::Root),
                _ => Err(EntryError::Root),
            };
        };
        if *name != OPAQUE && components[0].starts_with(AUFS) && components[0] != OPAQUE {
            return Ok(Place::Done);
        }
        self.check_len("name", name.len(), 255)?;
        let parent = self.directory(parents)?;
        if *name == OPAQUE {
            self.dir_mut(parent).opaque = true;
        } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(EntryError::Whiteout);
            }
            self.white_out(parent, hidden);
        } else {
            return Ok(Place::Name(parent, Box::from(*name)));
        }
        Ok(Place::Done)
    }

    /// Puts a file of any kind but a hard link at `place`, in place of what is there. A directory
    /// over a directory keeps its content.
    pub(crate) fn put(
        &mut self,
        place: &Place,
        entry: &Entry,
        kind: Kind,
    ) -> Result<(), EntryError> {
        let (parent, name) = match place {
            Place::Done => return Ok(()),
            Place::Root => return self.apply_metadata(Tree::ROOT, entry),
            Place::Name(parent, name) => (*parent, name),
        };
        // A directory of overlayfs shows no such device: it is its whiteout.
        if let Kind::CharDevice(Device { major: 0, minor: 0 }) = kind {
            self.dir_mut(parent).entries.insert(name.clone(), Slot::Whiteout);
            return Ok(());
        }
        let is_directory = |inode: &Inode| matches!(inode.kind, Kind::Directory(_));
        let old = match self.dir(parent).entries.get(name) {
            Some(Slot::Inode(id)) if is_directory(&self.inodes[id.0 as usize]) => Some(*id),
            _ => None,
        };
        let id = match (old, &kind) {
            (Some(id), Kind::Directory(_)) => id,
            _ => {
                let id = self.create(parent, kind, 0o644);
                self.dir_mut(parent).entries.insert(name.clone(), Slot::Inode(id));
                id
            }
        };
        self.apply_metadata(id, entry)
    }

    /// Makes `place` another name of the entry's link target.
    pub(crate) fn link(&mut self, place: &Place, entry: &Entry) -> Result<(), EntryError> {
        let Place::Name(parent, name) = place else {
            return Ok(());
        };
        self.check_len("link target", entry.link.len(), self.max_path)?;
        let target = path::clean_in_root(&entry.link);
        if target.is_empty() {
            return Err(EntryError::TargetEmpty);
        }
        // As with unlink before link: a link to itself is a link to nothing.
        if !matches!(self.slot(*parent, name), Some(Slot::Inode(id)) if self.is_dir(id)) {
            self.dir_mut(*parent).entries.remove(name);
        }
        let slot = match self.look_up(&target)? {
            Some(Slot::Inode(id)) if self.is_dir(id) => {
                let target = display(&entry.link);
                return Err(EntryError::LinkToDirectory { target });
            }
            Some(slot) => slot,
            None => Slot::LowerLink(target.join(&b'/').into()),
        };
        self.dir_mut(*parent).entries.insert(name.clone(), slot.clone());
        match slot {
            Slot::Inode(id) => self.apply_metadata(id, entry),
            Slot::LowerLink(_) | Slot::Whiteout => Ok(()),
        }
    }

    /// Returns the target of a symbolic link.
    pub(crate) fn target(&self, entry: &Entry) -> Result<Box<[u8]>, EntryError> {
        if entry.link.is_empty() {
            return Err(EntryError::TargetEmpty);
        }
        self.check_len("link target", entry.link.len(), self.max_path)?;
        Ok(entry.link.as_slice().into())
    }

    /// Returns the bytes of names, targets and extended attributes so far.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        self.metadata
    }

    /// Returns the tree without what was replaced; directories are numbered before their content.
    pub(crate) fn finish(self) -> Tree {
        const NONE: u32 = u32::MAX;
        let mut numbers = vec![NONE; self.inodes.len()];
        let mut old: Vec<Option<Inode>> = self.inodes.into_iter().map(Some).collect();
        let mut inodes: Vec<Inode> = old[0].take().into_iter().collect();
        let mut next = 0;
        while next < inodes.len() {
            let mut added = Vec::new();
            let first = inodes.len();
            if let Kind::Directory(dir) = &mut inodes[next].kind {
                for slot in dir.entries.values_mut() {
                    let Slot::Inode(id) = slot else { continue };
                    let index = id.0 as usize;
                    if let Some(inode) = old[index].take() {
                        numbers[index] = (first + added.len()) as u32;
                        added.push(inode);
                    }
                    *id = InodeId(numbers[index]);
                }
            }
            inodes.append(&mut added);
            next += 1;
        }
        Tree { inodes }
    }

    fn white_out(&mut self, parent: InodeId, name: &[u8]) {
        // A whiteout hides only what lies below this layer.
        match self.slot(parent, name) {
            Some(Slot::Inode(id)) => {
                if let Kind::Directory(dir) = &mut self.inodes[id.0 as usize].kind {
                    dir.opaque = true;
                }
            }
            Some(_) => {}
            None => drop(self.dir_mut(parent).entries.insert(name.into(), Slot::Whiteout)),
        }
    }

    fn create(&mut self, parent: InodeId, kind: Kind, mode: u16) -> InodeId {
        let mut inode = Inode::new(kind, mode);
        xattr::inherit(&self.inodes[parent.0 as usize], &mut inode);
        let id = InodeId(self.inodes.len() as u32);
        self.inodes.push(inode);
        id
    }

    /// Sets owner, extended attributes, mode and time, in Docker's order.
    fn apply_metadata(&mut self, id: InodeId, entry: &Entry) -> Result<(), EntryError> {
        let inode = &mut self.inodes[id.0 as usize];
        let is_symlink = matches!(inode.kind, Kind::Symlink(_));
        // As chown(2) has it: 32 bits, of which -1 is "no change".
        for (owner, wanted) in [(&mut inode.uid, entry.uid), (&mut inode.gid, entry.gid)] {
            let wanted = wanted as u32;
            if wanted != u32::MAX {
                *owner = wanted;
            }
        }
        if !matches!(inode.kind, Kind::Directory(_)) {
            xattr::remove(inode, b"security.capability");
        }
        for attribute in &entry.xattrs {
            self.metadata += (attribute.name.len() + attribute.value.len()) as u64;
            xattr::set(inode, attribute)?;
        }
        let len = inode.xattrs.iter().map(|x| x.name.len() + x.value.len()).sum();
        if !is_symlink {
            inode.mode = (entry.mode & 0o7777) as u16;
            xattr::apply_mode(inode);
        }
        if entry.kind != b'1' || !is_symlink {
            inode.mtime = time(entry.mtime, is_symlink);
        }
        self.check_len("extended attributes", len, self.max_xattrs)
    }

    fn check_len(&self, what: &'static str, len: usize, max: usize) -> Result<(), EntryError> {
        if len > max {
            return Err(EntryError::TooLong { what, len, max });
        }
        Ok(())
    }

    fn slot(&self, directory: InodeId, name: &[u8]) -> Option<Slot> {
        self.dir(directory).entries.get(name).cloned()
    }

    fn is_dir(&self, id: InodeId) -> bool {
        matches!(self.inodes[id.0 as usize].kind, Kind::Directory(_))
    }

    fn dir(&self, id: InodeId) -> &Directory {
        match &self.inodes[id.0 as usize].kind {
            Kind::Directory(directory) => directory,
            // Ids of directories come from `directory`, and an inode never changes its kind.
            kind => unreachable!("a directory turned into {kind:?}"),
        }
    }

    fn dir_mut(&mut self, id: InodeId) -> &mut Directory {
        match &mut self.inodes[id.0 as usize].kind {
            Kind::Directory(directory) => directory,
            kind => unreachable!("a directory turned into {kind:?}"),
        }
    }
}

/// Returns a name for messages.
pub(crate) fn display(name: &[u8]) -> String {
    let text = name.get(..300).unwrap_or(name).escape_ascii().to_string();
    if text.len() < name.len() { text + "..." } else { text }
}

/// Docker sets times that do not fit into nanoseconds since 1970 to 1970, except of links.
fn time(time: Timestamp, is_symlink: bool) -> Timestamp {
    const MAX: Timestamp =
        Timestamp { sec: i64::MAX / 1_000_000_000, nsec: (i64::MAX % 1_000_000_000) as u32 };
    if is_symlink || (Timestamp::default()..=MAX).contains(&time) {
        return time;
    }
    Timestamp::default()
}
