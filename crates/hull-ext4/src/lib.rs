//! Writes empty ext4 file systems.

#![deny(unsafe_code)]

use std::fs::File;
use std::io;

use thiserror::Error;

/// What [`format`] makes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of the file system and of the file, in bytes; rounded down to whole blocks of 4096.
    pub size: u64,
    /// Volume label, at most 16 bytes.
    pub label: String,
    /// UUID of the file system; also seeds its checksums and directory hashes.
    pub uuid: [u8; 16],
    /// Size of the journal in bytes; 0 for none.
    pub journal_size: u64,
    /// Bytes of disk for each inode.
    pub inode_ratio: u64,
    /// Time of creation in seconds since 1970.
    pub created: i64,
}

impl Options {
    /// Size of a container's scratch disk, in bytes. The file is sparse: it takes what is written.
    pub const SCRATCH_SIZE: u64 = 64 << 30;

    /// Returns options for a file system of `size` bytes, the rest as `mke2fs` would choose.
    pub fn new(size: u64, uuid: [u8; 16]) -> Self {
        Self {
            size,
            label: String::new(),
            uuid,
            journal_size: 64 << 20,
            inode_ratio: 16 << 10,
            created: 0,
        }
    }
}

/// Why a file cannot be formatted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FormatError {
    #[error("cannot write the file system")]
    Io(#[source] io::Error),
    #[error("invalid file system option: {0}")]
    Option(String),
}

/// Makes `file` (opened for writing) an empty ext4 file system. What the file held is dropped; the
/// result is sparse, of which a few hundred KiB are written.
///
/// # Errors
/// If an option is out of range or the file cannot be written.
#[expect(clippy::todo)]
pub fn format(_file: &File, _options: &Options) -> Result<(), FormatError> {
    todo!()
}
