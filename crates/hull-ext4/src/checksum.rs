//! CRC32C as ext4 uses it: without inverting the start value or the result.

/// Checksum of nothing.
pub(crate) const START: u32 = u32::MAX;

/// Continues checksum `crc` with `bytes`.
pub(crate) fn update(crc: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!crc, bytes)
}

/// Returns the start value of all checksums of a file system but its superblock's.
pub(crate) fn seed(uuid: &[u8; 16]) -> u32 {
    update(START, uuid)
}

/// Returns the start value of checksums of an inode (generation 0) and its directory blocks.
pub(crate) fn inode_seed(uuid: &[u8; 16], inode: u32) -> u32 {
    update(update(seed(uuid), &inode.to_le_bytes()), &[0; 4])
}
