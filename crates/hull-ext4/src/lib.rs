//! Writes empty ext4 file systems, and reads what the files of one hold.
//!
//! The result is what `mke2fs -t ext4` makes, with two differences that keep it small: there is no
//! resize inode (a kernel that grows the file system turns on `meta_bg` instead), and nothing is
//! left for the kernel to initialise later, since the file is sparse and reads as zeros. Some 600
//! KiB are written for 64 GiB. Sources: Linux `Documentation/filesystems/ext4`, e2fsprogs 1.47.

#![deny(unsafe_code)]

mod checksum;
mod geometry;
mod groups;
mod inodes;
mod journal;
mod superblock;
mod usage;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use geometry::{BLOCK, Geometry};
use thiserror::Error;

pub use usage::usage;

/// What [`format()`] makes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of the file in bytes. The file system takes whole blocks of 4096 bytes, and leaves out a
    /// last block group that is too small for its own tables.
    pub size: u64,
    /// Volume label, at most 16 bytes.
    pub label: String,
    /// UUID of the file system; also seeds its checksums and directory hashes.
    pub uuid: [u8; 16],
    /// Size of the journal in bytes, at least 4 MiB; 0 for none.
    pub journal_size: u64,
    /// Bytes of disk for each inode.
    pub inode_ratio: u64,
    /// Time of creation in seconds since 1970.
    pub created: u32,
}

impl Options {
    /// Size of a container's scratch disk, in bytes. The file is sparse: it takes what is written.
    pub const SCRATCH_SIZE: u64 = 64 << 30;

    /// Returns options for a file system of `size` bytes, the rest much as `mke2fs` would choose;
    /// the journal never is above 32 MiB, since in the end a journal takes all of its space.
    pub fn new(size: u64, uuid: [u8; 16]) -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            size,
            label: String::new(),
            uuid,
            journal_size: match size / MIB {
                ..64 => 4 * MIB,
                64..1024 => 16 * MIB,
                _ => 32 * MIB,
            },
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

/// Makes `file` (opened for writing) an empty ext4 file system. What the file held is dropped.
///
/// # Errors
/// If an option is out of range or the file cannot be written.
pub fn format(file: &File, options: &Options) -> Result<(), FormatError> {
    let geometry = Geometry::new(options)?;
    let disk = Disk(file);
    file.set_len(0).and_then(|()| file.set_len(options.size)).map_err(FormatError::Io)?;
    inodes::write(&geometry, options, &disk)?;
    if geometry.journal_blocks > 0 {
        journal::write(&geometry, &disk)?;
    }
    let descriptors = groups::write(&geometry, options, &disk)?;
    for group in 0..geometry.groups {
        if geometry.has_superblock(group) {
            superblock::write(&geometry, options, group, &descriptors, &disk)?;
        }
    }
    Ok(())
}

/// The file under a file system.
struct Disk<'a>(&'a File);

impl Disk<'_> {
    /// Writes at a block.
    fn write(&self, block: u64, bytes: &[u8]) -> Result<(), FormatError> {
        self.write_at(block * BLOCK, bytes)
    }

    /// Writes at a byte.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        self.0.write_all_at(bytes, offset).map_err(FormatError::Io)
    }
}

/// Copies little-endian fields into a structure.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}
