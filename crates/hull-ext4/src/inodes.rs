//! The first files: root directory, `lost+found`, journal.

use crate::geometry::{BLOCK, Geometry, INODE_LEN, LOST_FOUND_BLOCKS, USED_INODES};
use crate::{Disk, FormatError, Options, checksum, put};

pub(crate) const ROOT: u32 = 2;
pub(crate) const JOURNAL: u32 = 8;
const LOST_FOUND: u32 = USED_INODES;

const DIRECTORY: u8 = 2;
/// Bytes of the checksum at the end of a directory block, dressed up as an entry.
const TAIL_LEN: usize = 12;

/// Writes the inodes and the directories' blocks.
pub(crate) fn write(
    geometry: &Geometry,
    options: &Options,
    disk: &Disk<'_>,
) -> Result<(), FormatError> {
    let mut table = vec![0; (INODE_LEN * u64::from(USED_INODES)) as usize];
    let mut place = |number: u32, file: &Inode| {
        let at = (number - 1) as usize * INODE_LEN as usize;
        file.put(&mut table[at..][..INODE_LEN as usize], number, options);
    };
    place(ROOT, &Inode { mode: 0o040_755, links: 3, block: geometry.root_block, blocks: 1 });
    place(
        LOST_FOUND,
        &Inode {
            mode: 0o040_700,
            links: 2,
            block: geometry.lost_found_block,
            blocks: LOST_FOUND_BLOCKS,
        },
    );
    if geometry.journal_blocks > 0 {
        place(JOURNAL, &journal(geometry));
    }
    disk.write(geometry.inode_table(0), &table)?;

    let root = [(ROOT, "."), (ROOT, ".."), (LOST_FOUND, "lost+found")];
    let lost_found = [(LOST_FOUND, "."), (ROOT, "..")];
    disk.write(geometry.root_block, &block(ROOT, &root, options))?;
    // More than one block, so that e2fsck need not allocate when there is trouble.
    let mut blocks = block(LOST_FOUND, &lost_found, options);
    for _ in 1..LOST_FOUND_BLOCKS {
        blocks.extend(block(LOST_FOUND, &[(0, "")], options));
    }
    disk.write(geometry.lost_found_block, &blocks)
}

/// Returns the journal's inode.
pub(crate) fn journal(geometry: &Geometry) -> Inode {
    Inode {
        mode: 0o100_600,
        links: 1,
        block: geometry.journal_block,
        blocks: geometry.journal_blocks,
    }
}

/// A file of root's in one piece.
pub(crate) struct Inode {
    mode: u16,
    links: u16,
    block: u64,
    blocks: u64,
}

impl Inode {
    pub(crate) fn size(&self) -> u64 {
        self.blocks * BLOCK
    }

    /// Returns the 60 bytes that say where the file is: a tree of one extent.
    pub(crate) fn extents(&self) -> [u8; 60] {
        let mut out = [0; 60];
        let start = self.block.to_le_bytes();
        put(&mut out, 0, &0xf30a_u16.to_le_bytes());
        put(&mut out, 2, &1_u16.to_le_bytes());
        put(&mut out, 4, &4_u16.to_le_bytes());
        put(&mut out, 16, &(self.blocks as u16).to_le_bytes());
        put(&mut out, 18, &start[4..6]);
        put(&mut out, 20, &start[..4]);
        out
    }

    fn put(&self, out: &mut [u8], number: u32, options: &Options) {
        const EXTENTS: u32 = 0x8_0000;
        const EXTRA_LEN: u16 = 32;
        let size = self.size().to_le_bytes();
        let time = options.created.to_le_bytes();
        put(out, 0x00, &self.mode.to_le_bytes());
        put(out, 0x04, &size[..4]);
        for at in [0x08, 0x0c, 0x10, 0x90] {
            put(out, at, &time);
        }
        put(out, 0x1a, &self.links.to_le_bytes());
        put(out, 0x1c, &((self.size() / 512) as u32).to_le_bytes());
        put(out, 0x20, &EXTENTS.to_le_bytes());
        put(out, 0x28, &self.extents());
        put(out, 0x6c, &size[4..]);
        put(out, 0x80, &EXTRA_LEN.to_le_bytes());
        let crc = checksum::update(checksum::inode_seed(&options.uuid, number), out);
        put(out, 0x7c, &crc.to_le_bytes()[..2]);
        put(out, 0x82, &crc.to_le_bytes()[2..]);
    }
}

/// Returns a block of directory `inode` with entries that all are directories (or unused, 0).
fn block(inode: u32, entries: &[(u32, &str)], options: &Options) -> Vec<u8> {
    let mut out = vec![0; BLOCK as usize];
    let end = out.len() - TAIL_LEN;
    let mut at = 0;
    for (index, (number, name)) in entries.iter().enumerate() {
        let is_last = index + 1 == entries.len();
        let len = if is_last { end - at } else { 8 + name.len().next_multiple_of(4) };
        put(&mut out, at, &number.to_le_bytes());
        put(&mut out, at + 4, &(len as u16).to_le_bytes());
        out[at + 6] = name.len() as u8;
        out[at + 7] = if *number == 0 { 0 } else { DIRECTORY };
        put(&mut out, at + 8, name.as_bytes());
        at += len;
    }
    let crc = checksum::update(checksum::inode_seed(&options.uuid, inode), &out[..end]);
    put(&mut out, end + 4, &(TAIL_LEN as u16).to_le_bytes());
    out[end + 7] = 0xde;
    put(&mut out, end + 8, &crc.to_le_bytes());
    out
}
