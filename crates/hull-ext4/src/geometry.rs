//! Where everything is: block groups, their tables, and the few files that exist from the start.
//!
//! Groups are gathered in flex groups of 16. The first of each holds, after its own superblock and
//! descriptors, the block bitmaps of all, their inode bitmaps, and their inode tables. In group 0,
//! the root directory, `lost+found` and the journal follow.

use crate::{FormatError, Options};

/// Bytes of a block.
pub(crate) const BLOCK: u64 = 4096;
/// Blocks of a full group: as many as one block of bitmap has bits.
pub(crate) const GROUP_BLOCKS: u64 = 8 * BLOCK;
pub(crate) const INODE_LEN: u64 = 256;
pub(crate) const DESCRIPTOR_LEN: usize = 64;
pub(crate) const FLEX_LOG2: u8 = 4;
pub(crate) const LOST_FOUND_BLOCKS: u64 = 4;
/// Inodes with fixed numbers, and `lost+found`.
pub(crate) const USED_INODES: u32 = 11;

const FLEX: u64 = 1 << FLEX_LOG2;
const MIN_SIZE: u64 = 16 << 20;
const MAX_SIZE: u64 = 16 << 40;
const MIN_JOURNAL_BLOCKS: u64 = 1024;

/// The arrangement of a file system; addresses and lengths are blocks.
#[derive(Debug)]
pub(crate) struct Geometry {
    pub(crate) blocks: u64,
    pub(crate) groups: u64,
    pub(crate) inodes_per_group: u32,
    pub(crate) table_blocks: u64,
    pub(crate) descriptor_blocks: u64,
    pub(crate) root_block: u64,
    pub(crate) lost_found_block: u64,
    pub(crate) journal_block: u64,
    pub(crate) journal_blocks: u64,
}

impl Geometry {
    pub(crate) fn new(options: &Options) -> Result<Self, FormatError> {
        let error = |text: &str| Err(FormatError::Option(text.to_owned()));
        if !(MIN_SIZE..=MAX_SIZE).contains(&options.size) {
            return error("the size must be from 16 MiB to 16 TiB");
        }
        if options.label.len() > 16 {
            return error("a label has at most 16 bytes");
        }
        if !(8 << 10..=4 << 20).contains(&options.inode_ratio) {
            return error("the bytes for each inode must be from 8 KiB to 4 MiB");
        }
        let journal_blocks = options.journal_size / BLOCK;
        if options.journal_size > 0 && journal_blocks < MIN_JOURNAL_BLOCKS {
            return error("a journal has at least 4 MiB");
        }
        let mut blocks = options.size / BLOCK;
        let geometry = loop {
            let geometry = Self::of_blocks(blocks, options.inode_ratio, journal_blocks);
            let last = geometry.groups - 1;
            // The tables of the last group, and a few blocks that make it worth while.
            let needed = geometry.metadata_blocks(last) + 50;
            if last == 0 || geometry.group_blocks(last) >= needed {
                break geometry;
            }
            blocks = last * GROUP_BLOCKS;
        };
        let available = geometry.group_blocks(0);
        if geometry.journal_block + geometry.journal_blocks + 50 > available {
            return error("the journal and the inode tables do not fit into the first 128 MiB");
        }
        Ok(geometry)
    }

    /// Whether a group has a copy of the superblock and descriptors: those with the number 0, 1 or
    /// a power of 3, 5 or 7.
    pub(crate) fn has_superblock(&self, group: u64) -> bool {
        let is_power = |base: u64| {
            let mut power = base;
            while power < group {
                power *= base;
            }
            power == group
        };
        group <= 1 || [3, 5, 7].into_iter().any(is_power)
    }

    /// Returns the blocks of a group; the last one may be shorter than the others.
    pub(crate) fn group_blocks(&self, group: u64) -> u64 {
        GROUP_BLOCKS.min(self.blocks - group * GROUP_BLOCKS)
    }

    pub(crate) fn block_bitmap(&self, group: u64) -> u64 {
        self.flex_start(group) + group % FLEX
    }

    pub(crate) fn inode_bitmap(&self, group: u64) -> u64 {
        self.flex_start(group) + self.flex_groups(group) + group % FLEX
    }

    pub(crate) fn inode_table(&self, group: u64) -> u64 {
        self.flex_start(group) + 2 * self.flex_groups(group) + group % FLEX * self.table_blocks
    }

    /// Returns how many of a group's blocks are taken, all of them at its start.
    pub(crate) fn used_blocks(&self, group: u64) -> u64 {
        if group == 0 {
            return self.journal_block + self.journal_blocks;
        }
        self.metadata_blocks(group)
    }

    /// Returns how many blocks no file can ever have.
    pub(crate) fn overhead(&self) -> u64 {
        let metadata: u64 = (0..self.groups).map(|g| self.metadata_blocks(g)).sum();
        metadata + self.journal_blocks
    }

    fn of_blocks(blocks: u64, inode_ratio: u64, journal_blocks: u64) -> Self {
        let groups = blocks.div_ceil(GROUP_BLOCKS);
        let per_block = BLOCK / INODE_LEN;
        let inodes = (blocks * BLOCK / inode_ratio).div_ceil(groups);
        // Whole blocks of the table, and enough for the first files in the smallest case.
        let inodes_per_group = inodes.next_multiple_of(per_block).clamp(64, GROUP_BLOCKS);
        let mut geometry = Self {
            blocks,
            groups,
            inodes_per_group: inodes_per_group as u32,
            table_blocks: inodes_per_group / per_block,
            descriptor_blocks: (groups * DESCRIPTOR_LEN as u64).div_ceil(BLOCK),
            root_block: 0,
            lost_found_block: 0,
            journal_block: 0,
            journal_blocks,
        };
        geometry.root_block = geometry.metadata_blocks(0);
        geometry.lost_found_block = geometry.root_block + 1;
        geometry.journal_block = geometry.lost_found_block + LOST_FOUND_BLOCKS;
        geometry
    }

    fn metadata_blocks(&self, group: u64) -> u64 {
        let flex = match group % FLEX {
            0 => self.flex_groups(group) * (2 + self.table_blocks),
            _ => 0,
        };
        self.superblock_blocks(group) + flex
    }

    fn superblock_blocks(&self, group: u64) -> u64 {
        match self.has_superblock(group) {
            true => 1 + self.descriptor_blocks,
            false => 0,
        }
    }

    /// Returns the first block of the bitmaps and tables of a group's flex group.
    fn flex_start(&self, group: u64) -> u64 {
        let first = group - group % FLEX;
        first * GROUP_BLOCKS + self.superblock_blocks(first)
    }

    /// Returns how many groups there are in a group's flex group.
    fn flex_groups(&self, group: u64) -> u64 {
        let first = group - group % FLEX;
        FLEX.min(self.groups - first)
    }
}
