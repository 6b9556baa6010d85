//! Structures of the disk format (Linux `fs/erofs/erofs_fs.h`).

use hull_layer::{Kind, Timestamp};

/// Bytes of a block.
pub(crate) const BLOCK: u64 = 4096;
/// Bytes of an extended inode.
pub(crate) const INODE_LEN: usize = 64;
/// Unit of inode numbers in bytes.
pub(crate) const SLOT: u64 = 32;
/// Where the superblock starts and ends.
pub(crate) const SUPERBLOCK: usize = 1024;
pub(crate) const SUPERBLOCK_END: u64 = 1152;
/// Address of a chunk that is all zeros.
pub(crate) const HOLE: u32 = u32::MAX;

pub(crate) const FLAT_PLAIN: u16 = 0;
pub(crate) const FLAT_INLINE: u16 = 2;
pub(crate) const CHUNK_BASED: u16 = 4;

const MAGIC: u32 = 0xe0f5_e1e2;
const COMPAT_SUPERBLOCK_CHECKSUM: u32 = 1;
/// Inodes have the time of modification, not of change.
const COMPAT_MTIME: u32 = 2;
const INCOMPAT_CHUNKED_FILE: u32 = 4;

pub(crate) struct Superblock {
    pub(crate) root_nid: u16,
    pub(crate) inodes: u64,
    /// Blocks of the whole disk.
    pub(crate) blocks: u32,
    /// Block at which shared extended attributes start.
    pub(crate) shared_block: u32,
    pub(crate) has_chunks: bool,
}

impl Superblock {
    /// Writes the superblock into the image, whose first block must be complete otherwise.
    pub(crate) fn put(&self, image: &mut [u8], uuid: [u8; 16]) {
        let block = &mut image[SUPERBLOCK..BLOCK as usize];
        let compat = COMPAT_SUPERBLOCK_CHECKSUM | COMPAT_MTIME;
        let incompat = if self.has_chunks { INCOMPAT_CHUNKED_FILE } else { 0 };
        put(block, 0, &MAGIC.to_le_bytes());
        put(block, 4, &[0; 4]);
        put(block, 8, &compat.to_le_bytes());
        put(block, 12, &[BLOCK.trailing_zeros() as u8]);
        put(block, 14, &self.root_nid.to_le_bytes());
        put(block, 16, &self.inodes.to_le_bytes());
        put(block, 36, &self.blocks.to_le_bytes());
        put(block, 44, &self.shared_block.to_le_bytes());
        put(block, 48, &uuid);
        put(block, 80, &incompat.to_le_bytes());
        // The kernel's CRC does not invert the result, which the usual one does.
        let crc = !crc32c::crc32c(block);
        put(block, 4, &crc.to_le_bytes());
    }
}

/// An extended inode.
pub(crate) struct Inode {
    pub(crate) data_layout: u16,
    pub(crate) attributes_len: u32,
    pub(crate) mode: u16,
    pub(crate) size: u64,
    /// Block address, device numbers or chunk format.
    pub(crate) union: u32,
    pub(crate) number: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Timestamp,
    pub(crate) nlink: u32,
}

impl Inode {
    pub(crate) fn put(&self, out: &mut [u8]) {
        const EXTENDED: u16 = 1;
        let attribute_count = match self.attributes_len {
            0 => 0,
            len => (len - 12) / 4 + 1,
        };
        put(out, 0, &(EXTENDED | self.data_layout << 1).to_le_bytes());
        put(out, 2, &(attribute_count as u16).to_le_bytes());
        put(out, 4, &self.mode.to_le_bytes());
        put(out, 8, &self.size.to_le_bytes());
        put(out, 16, &self.union.to_le_bytes());
        put(out, 20, &self.number.to_le_bytes());
        put(out, 24, &self.uid.to_le_bytes());
        put(out, 28, &self.gid.to_le_bytes());
        put(out, 32, &self.mtime.sec.to_le_bytes());
        put(out, 40, &self.mtime.nsec.to_le_bytes());
        put(out, 44, &self.nlink.to_le_bytes());
    }
}

/// Returns the type bits of a file's mode.
pub(crate) fn mode_of(kind: &Kind) -> u16 {
    match kind {
        Kind::BlockDevice(_) => 0o060_000,
        Kind::CharDevice(_) => 0o020_000,
        Kind::Directory(_) => 0o040_000,
        Kind::Fifo => 0o010_000,
        Kind::File(_) => 0o100_000,
        Kind::Symlink(_) => 0o120_000,
    }
}

/// Returns the type of a file in directory entries.
pub(crate) fn entry_kind(kind: &Kind) -> u8 {
    match kind {
        Kind::File(_) => 1,
        Kind::Directory(_) => 2,
        Kind::CharDevice(_) => 3,
        Kind::BlockDevice(_) => 4,
        Kind::Fifo => 5,
        Kind::Symlink(_) => 7,
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}
