//! VMDK descriptors: one disk made of several files.

use thiserror::Error;

/// A file that is part of a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extent<'a> {
    /// Path, relative to the directory of the descriptor.
    pub path: &'a str,
    /// Bytes of the file that are part of the disk; a multiple of 512.
    pub len: u64,
}

/// Why a disk cannot be described.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VmdkError {
    #[error("`{0}` cannot stand in a disk description")]
    Name(String),
    #[error("`{path}` has {len} bytes, which is not a multiple of 512")]
    Unaligned { path: String, len: u64 },
    #[error("the disk's files have {len} bytes, more than its size of {size}")]
    TooLarge { len: u64, size: u64 },
}

/// Returns the text of a VMDK descriptor of a read-only disk of `virtual_size` bytes that starts
/// with `extents` in order and is zero after them.
///
/// # Errors
/// If a path cannot be written in the format, a length is no multiple of 512, or the extents are
/// longer than the disk.
#[expect(clippy::todo)]
pub fn descriptor(_extents: &[Extent<'_>], _virtual_size: u64) -> Result<String, VmdkError> {
    todo!()
}
