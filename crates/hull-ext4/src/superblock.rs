//! The superblock and its copies, each with the group descriptors behind it.

use crate::geometry::{BLOCK, FLEX_LOG2, GROUP_BLOCKS, Geometry, INODE_LEN, USED_INODES};
use crate::{Disk, FormatError, Options, checksum, inodes, put};

const COMPAT_HAS_JOURNAL: u32 = 0x04;
const COMPAT_EXT_ATTR: u32 = 0x08;
const COMPAT_DIR_INDEX: u32 = 0x20;
const INCOMPAT_FILETYPE: u32 = 0x02;
const INCOMPAT_EXTENTS: u32 = 0x40;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_FLEX_BG: u32 = 0x200;
const RO_COMPAT_SPARSE_SUPER: u32 = 0x01;
const RO_COMPAT_LARGE_FILE: u32 = 0x02;
const RO_COMPAT_HUGE_FILE: u32 = 0x08;
const RO_COMPAT_DIR_NLINK: u32 = 0x20;
const RO_COMPAT_EXTRA_ISIZE: u32 = 0x40;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;

const LEN: usize = 1024;

/// Writes the copy in `group`, and the descriptors.
pub(crate) fn write(
    geometry: &Geometry,
    options: &Options,
    group: u64,
    descriptors: &[u8],
    disk: &Disk<'_>,
) -> Result<(), FormatError> {
    let superblock = encode(geometry, options, group);
    let block = group * GROUP_BLOCKS;
    // The first block of the disk belongs to boot loaders, of which this leaves the space.
    let offset = if group == 0 { LEN as u64 } else { 0 };
    disk.write_at(block * BLOCK + offset, &superblock)?;
    disk.write(block + 1, descriptors)
}

fn encode(geometry: &Geometry, options: &Options, group: u64) -> [u8; LEN] {
    let mut out = [0; LEN];
    let has_journal = geometry.journal_blocks > 0;
    let used: u64 = (0..geometry.groups).map(|g| geometry.used_blocks(g)).sum();
    let free = geometry.blocks - used;
    let inodes = geometry.inodes_per_group * geometry.groups as u32;
    let journal_feature = if has_journal { COMPAT_HAS_JOURNAL } else { 0 };
    let words = [
        (0x000, inodes),
        (0x004, geometry.blocks as u32),
        (0x00c, free as u32),
        (0x010, inodes - USED_INODES),
        // Blocks and clusters of 2^2 KiB.
        (0x018, 2),
        (0x01c, 2),
        (0x020, GROUP_BLOCKS as u32),
        (0x024, GROUP_BLOCKS as u32),
        (0x028, geometry.inodes_per_group),
        (0x030, options.created),
        (0x040, options.created),
        // Revision with features.
        (0x04c, 1),
        (0x054, USED_INODES),
        (0x05c, COMPAT_EXT_ATTR | COMPAT_DIR_INDEX | journal_feature),
        (0x060, INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | INCOMPAT_64BIT | INCOMPAT_FLEX_BG),
        (
            0x064,
            RO_COMPAT_SPARSE_SUPER
                | RO_COMPAT_LARGE_FILE
                | RO_COMPAT_HUGE_FILE
                | RO_COMPAT_DIR_NLINK
                | RO_COMPAT_EXTRA_ISIZE
                | RO_COMPAT_METADATA_CSUM,
        ),
        // Mount options: user_xattr, acl.
        (0x100, 0x0c),
        (0x108, options.created),
        (0x150, (geometry.blocks >> 32) as u32),
        (0x158, (free >> 32) as u32),
        // Directory hashes take characters as signed.
        (0x160, 1),
        (0x248, geometry.overhead() as u32),
    ];
    for (at, word) in words {
        put(&mut out, at, &word.to_le_bytes());
    }
    let halves = [
        // Never checked because of a count of mounts.
        (0x036, u16::MAX),
        (0x038, 0xef53),
        // Clean; not said of copies.
        (0x03a, u16::from(group == 0)),
        // On errors, continue.
        (0x03c, 1),
        (0x058, INODE_LEN as u16),
        (0x05a, group as u16),
        (0x0fe, 64),
        (0x15c, 32),
        (0x15e, 32),
    ];
    for (at, half) in halves {
        put(&mut out, at, &half.to_le_bytes());
    }
    put(&mut out, 0x068, &options.uuid);
    put(&mut out, 0x078, options.label.as_bytes());
    // The hash seed: any bytes that differ between file systems.
    let mut seed = options.uuid;
    seed.reverse();
    put(&mut out, 0x0ec, &seed);
    // Half MD4.
    out[0x0fc] = 1;
    out[0x174] = FLEX_LOG2;
    // CRC32C.
    out[0x175] = 1;
    if has_journal {
        put_journal(&mut out, geometry);
    }
    let crc = checksum::update(checksum::START, &out[..0x3fc]);
    put(&mut out, 0x3fc, &crc.to_le_bytes());
    out
}

/// Notes the journal and a copy of where it is.
fn put_journal(out: &mut [u8; LEN], geometry: &Geometry) {
    let journal = inodes::journal(geometry);
    let size = journal.size().to_le_bytes();
    put(out, 0x0e0, &inodes::JOURNAL.to_le_bytes());
    out[0x0fd] = 1;
    put(out, 0x10c, &journal.extents());
    put(out, 0x148, &size[4..]);
    put(out, 0x14c, &size[..4]);
}
