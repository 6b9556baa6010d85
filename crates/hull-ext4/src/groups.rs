//! Group descriptors and bitmaps.

use crate::geometry::{BLOCK, DESCRIPTOR_LEN, GROUP_BLOCKS, Geometry, USED_INODES};
use crate::{Disk, FormatError, Options, checksum, put};

const INODE_UNINIT: u16 = 1;
const BLOCK_UNINIT: u16 = 2;
/// The inode table is all zeros where it is unused; the kernel need not clear it.
const INODE_ZEROED: u16 = 4;
/// The root directory and `lost+found`.
const DIRECTORIES: u16 = 2;

/// Writes the bitmaps that cannot be left to the kernel, and returns all descriptors.
pub(crate) fn write(
    geometry: &Geometry,
    options: &Options,
    disk: &Disk<'_>,
) -> Result<Vec<u8>, FormatError> {
    let mut out = vec![0; (geometry.descriptor_blocks * BLOCK) as usize];
    let seed = checksum::seed(&options.uuid);
    for group in 0..geometry.groups {
        let descriptor = &mut out[group as usize * DESCRIPTOR_LEN..][..DESCRIPTOR_LEN];
        let mut flags = INODE_ZEROED;
        let used_inodes = if group == 0 { USED_INODES } else { 0 };
        if group == 0 {
            let bitmap = bitmap(used_inodes.into(), geometry.inodes_per_group.into());
            disk.write(geometry.inode_bitmap(0), &bitmap)?;
            let crc = checksum::update(seed, &bitmap[..geometry.inodes_per_group as usize / 8]);
            put_split(descriptor, 0x1a, 0x3a, crc);
            put(descriptor, 0x10, &DIRECTORIES.to_le_bytes());
        } else {
            flags |= INODE_UNINIT;
        }
        if needs_block_bitmap(geometry, group) {
            let bitmap = bitmap(geometry.used_blocks(group), geometry.group_blocks(group));
            disk.write(geometry.block_bitmap(group), &bitmap)?;
            put_split(descriptor, 0x18, 0x38, checksum::update(seed, &bitmap));
        } else {
            flags |= BLOCK_UNINIT;
        }
        put_address(descriptor, 0x00, geometry.block_bitmap(group));
        put_address(descriptor, 0x04, geometry.inode_bitmap(group));
        put_address(descriptor, 0x08, geometry.inode_table(group));
        let free_blocks = geometry.group_blocks(group) - geometry.used_blocks(group);
        let free_inodes = geometry.inodes_per_group - used_inodes;
        put_split(descriptor, 0x0c, 0x2c, free_blocks as u32);
        put_split(descriptor, 0x0e, 0x2e, free_inodes);
        put_split(descriptor, 0x1c, 0x32, free_inodes);
        put(descriptor, 0x12, &flags.to_le_bytes());
        let crc = checksum::update(seed, &(group as u32).to_le_bytes());
        let crc = checksum::update(crc, descriptor) as u16;
        put(descriptor, 0x1e, &crc.to_le_bytes());
    }
    Ok(out)
}

/// Whether a group's block bitmap is other than what the kernel makes up: in the group are tables of
/// others or files, or it is the last.
fn needs_block_bitmap(geometry: &Geometry, group: u64) -> bool {
    let next = group + 1;
    geometry.block_bitmap(group) / GROUP_BLOCKS == group || next == geometry.groups
}

/// Returns a block of bits of which the first `used` are set, and all from `end` on.
fn bitmap(used: u64, end: u64) -> Vec<u8> {
    let mut out = vec![0; BLOCK as usize];
    out[..used as usize / 8].fill(0xff);
    out[end.div_ceil(8) as usize..].fill(0xff);
    if !used.is_multiple_of(8) {
        out[used as usize / 8] |= (1 << (used % 8)) - 1;
    }
    if !end.is_multiple_of(8) {
        out[end as usize / 8] |= 0xff << (end % 8);
    }
    out
}

/// Writes a number whose halves are apart.
fn put_split(out: &mut [u8], low: usize, high: usize, value: u32) {
    let bytes = value.to_le_bytes();
    put(out, low, &bytes[..2]);
    put(out, high, &bytes[2..]);
}

fn put_address(out: &mut [u8], low: usize, block: u64) {
    let bytes = block.to_le_bytes();
    put(out, low, &bytes[..4]);
    put(out, low + 0x20, &bytes[4..]);
}
