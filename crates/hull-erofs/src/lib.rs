//! Writes EROFS images whose file data lies in layer blobs.
//!
//! The image of a merged tree holds only metadata. Its inodes point at block addresses beyond its own
//! end, where the layers' data blobs follow one after another:
//!
//! ```text
//! [meta.erofs, padded to 4096][layer 0 data][layer 1 data]...[zeros up to DISK_SIZE]
//! ```
//!
//! [`vmdk::descriptor`] describes that disk to QEMU without copying anything.

#![deny(unsafe_code)]

mod attribute;
mod directory;
mod format;
mod plan;
pub mod vmdk;
mod write;

pub use write::{Layout, WriteError, write};

/// Size in bytes of every image disk, whatever its content: a running template is given another
/// image only if the disk's size stays the same.
pub const DISK_SIZE: u64 = 64 << 30;

/// Version of the images that [`write()`] makes; part of the key under which they are cached.
pub const FORMAT_VERSION: u32 = 2;
