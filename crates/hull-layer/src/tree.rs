//! The model of one layer: inodes, and directories that name them.

mod codec;
mod skeleton;

use std::collections::BTreeMap;

pub use codec::TreeError;

/// One layer's metadata.
///
/// Inodes are numbered; [`Tree::ROOT`] is the root directory. Names that share a number are hard
/// links. Serialised by [`Tree::encode`] and read back by [`Tree::decode`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tree {
    pub(crate) inodes: Vec<Inode>,
}

/// Number of an inode within its [`Tree`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InodeId(pub u32);

/// Metadata of one file, of whatever kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inode {
    /// Permission, set-id and sticky bits; never bits of the file type.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Timestamp,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
    pub kind: Kind,
}

impl Inode {
    /// Returns a new file of root's, from 1970. The mode of symbolic links is always 0777.
    pub(crate) fn new(kind: Kind, mode: u16) -> Self {
        Self {
            mode: if matches!(kind, Kind::Symlink(_)) { 0o777 } else { mode },
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            xattrs: Vec::new(),
            kind,
        }
    }
}

/// A point in time: seconds since 1970 (may be negative) and nanoseconds after that second.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp {
    pub sec: i64,
    /// Always below 1,000,000,000.
    pub nsec: u32,
}

/// An extended attribute; `name` has its namespace in front (`security.capability`).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Xattr {
    pub name: Box<[u8]>,
    pub value: Box<[u8]>,
}

/// What an inode is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    BlockDevice(Device),
    CharDevice(Device),
    Directory(Directory),
    Fifo,
    File(File),
    /// The link's target.
    Symlink(Box<[u8]>),
}

/// Numbers of a device: 12 bits major and 20 bits minor, as Linux has them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Device {
    pub major: u32,
    pub minor: u32,
}

/// A directory of a layer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Directory {
    /// Nothing of the lower layers shows through here.
    pub opaque: bool,
    pub entries: BTreeMap<Box<[u8]>, Slot>,
}

/// What a name in a directory stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Slot {
    Inode(InodeId),
    /// A hard link whose target (a path from the root, without leading slash) is not in this layer
    /// but must be in a lower one.
    LowerLink(Box<[u8]>),
    /// The name is removed from the lower layers.
    Whiteout,
}

/// A regular file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct File {
    /// Length in bytes as the file appears.
    pub size: u64,
    /// Where the contents lie, ascending and without overlap; what no extent covers is a hole.
    pub extents: Vec<Extent>,
}

/// A run of blocks of a file in its layer's data blob. All three values are bytes and multiples of
/// [`crate::BLOCK_SIZE`]; the last block of a file is padded with zeros.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// Position in the file.
    pub offset: u64,
    /// Position in the data blob.
    pub data: u64,
    pub len: u64,
}

impl Tree {
    /// The root directory.
    pub const ROOT: InodeId = InodeId(0);

    /// Returns the tree of a layer without entries.
    pub fn empty() -> Self {
        Self { inodes: vec![Inode::new(Kind::Directory(Directory::default()), 0o755)] }
    }

    /// Returns how many inodes there are.
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    /// Returns whether there is no inode; false, since there always is the root directory.
    pub fn is_empty(&self) -> bool {
        self.inodes.is_empty()
    }

    /// Returns the inode `id`, which must be one of this tree.
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.0 as usize]
    }

    /// Returns the tree as bytes: versioned, checksummed, the same for the same tree.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Returns the tree that [`Tree::encode`] wrote.
    ///
    /// # Errors
    /// If `bytes` are of another version, damaged or cut short.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        codec::decode(bytes)
    }
}
