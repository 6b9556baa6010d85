//! The journal's superblock (jbd2, big-endian).

use crate::geometry::{BLOCK, Geometry};
use crate::{Disk, FormatError, checksum, put};

/// Features that the kernel would turn on, and write, at the first mount.
const INCOMPAT_64BIT: u32 = 0x02;
const INCOMPAT_CHECKSUM_V3: u32 = 0x10;
const CRC32C: u8 = 4;

/// Writes an empty journal.
pub(crate) fn write(geometry: &Geometry, disk: &Disk<'_>) -> Result<(), FormatError> {
    let mut out = [0; 1024];
    let words = [
        (0x00, 0xc03b_3998),
        // Superblock, version 2.
        (0x04, 4),
        (0x0c, BLOCK as u32),
        (0x10, geometry.journal_blocks as u32),
        // First block of the log, and number of the first transaction.
        (0x14, 1),
        (0x18, 1),
        (0x28, INCOMPAT_64BIT | INCOMPAT_CHECKSUM_V3),
        // One user: this file system.
        (0x40, 1),
    ];
    for (at, word) in words {
        put(&mut out, at, &u32::to_be_bytes(word));
    }
    out[0x50] = CRC32C;
    let crc = checksum::update(checksum::START, &out);
    put(&mut out, 0xfc, &crc.to_be_bytes());
    disk.write(geometry.journal_block, &out)
}
