//! An OCI image layer as one tree.
//!
//! [`convert()`] reads a layer's (uncompressed) tar stream once and produces a [`Tree`] - the metadata
//! of every entry, whiteouts and opaque marks included - and a *data blob*: the contents of the
//! regular files one after another, each starting at a multiple of [`BLOCK_SIZE`], holes left out.
//! [`merge()`] stacks the trees of an image into a [`Merged`] root file system, which writers of file
//! system images iterate. All rules about whiteouts, opaque directories, hard links and duplicate
//! entries are solved here, once, and follow what Docker's `overlay2` driver shows.
//!
//! Everything in this crate is synchronous; async callers use a blocking thread.

#![deny(unsafe_code)]

mod archive;
mod convert;
mod data;
mod decompress;
mod digest;
mod limits;
mod merge;
mod tree;
mod unpack;

pub use archive::ArchiveError;
pub use convert::{ConvertError, Converted, convert};
pub use decompress::{Compression, Decompressor, decompress};
pub use digest::{Digest, ParseDigestError};
pub use limits::Limits;
pub use merge::{MergeError, Merged, Node, NodeId, Walk, WalkEntry, merge};
pub use tree::{
    Device, Directory, Extent, File, Inode, InodeId, Kind, Slot, Timestamp, Tree, TreeError, Xattr,
};
pub use unpack::EntryError;

/// Alignment of file contents in a data blob, in bytes: the block size of the file systems that
/// point into it.
pub const BLOCK_SIZE: u64 = 4096;

/// Version of the conversion: of the tree's encoding, the data blob's layout and the rules of
/// unpacking. Cached conversions of another version are worthless.
pub const FORMAT_VERSION: u32 = 1;
