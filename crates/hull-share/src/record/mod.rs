//! What a server knows of its guest, on disk: for a guest that goes on another day, when neither
//! server nor descriptors are left, perhaps after the host has booted again.
//!
//! Files are named by their paths below the share, and by what tells them from others that are
//! given the same name later: the kernel's handle of a file (name_to_handle_at(2)), with the
//! generation of its inode, which any user may ask for.

#[cfg(target_os = "linux")]
mod find;
#[cfg(target_os = "linux")]
mod held;
#[cfg(target_os = "linux")]
mod restore;
#[cfg(target_os = "linux")]
mod save;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a guest knows of its shares.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    shares: Vec<Known>,
}

/// Something that a guest has open, and whose last name has been removed.
#[derive(Debug)]
pub struct Deleted {
    /// What its name was.
    pub name: PathBuf,
    /// Bytes that it takes; `None`: it is a directory, which is empty.
    pub size: Option<u64>,
    /// Can be opened through `/proc` only (`O_PATH`).
    pub file: OwnedFd,
}

/// What a guest knows of one share.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// The share is a directory, not a file.
    directory: bool,
    /// As in `Cache::is_agreed`.
    agreed: bool,
    files: Vec<File>,
    nodes: Vec<Node>,
    lost: Vec<u64>,
    handles: Vec<Handle>,
    ranges: Vec<Ranges>,
    /// Requests that wait for a lock.
    waiting: Vec<u64>,
    /// Numbers of sockets that are carried, and whether the guest's programs listen to them.
    sockets: Vec<(u64, bool)>,
}

/// A file of the host.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Below the share's directory, bytes; `None`: it was moved out of it, or has no name.
    path: Option<Vec<u8>>,
    /// `S_IFMT` of its mode.
    kind: u32,
    inode: u64,
    /// What no other file has as long as this one exists.
    mark: Mark,
    size: u64,
    /// Time of its last change: seconds and nanoseconds.
    changed: (i64, u32),
    /// It has no name any more.
    deleted: Option<Unnamed>,
}

/// What tells a file from others that may get its inode's number.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
enum Mark {
    /// As [`crate::raw::file_handle`] returns it.
    Handle(Vec<u8>),
    /// Number of its inode, and when that was made.
    Birth(u64, i64, u32),
}

/// A file without a name.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Unnamed {
    /// Which of those that have been kept it is; `None`: nobody had it open.
    kept: Option<usize>,
    /// Owner, group and mode, as the guest sees them.
    owner: (u32, u32, u32),
}

/// A file that the guest knows by number.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Node {
    number: u64,
    lookups: u64,
    watched: bool,
    /// Place in [`Known::files`].
    file: usize,
}

/// A file that the guest has opened.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Handle {
    number: u64,
    /// As `Handle::kind` says it.
    kind: u64,
    /// How it was opened (`O_RDWR` and so on).
    flags: u32,
    /// Place in [`Known::files`]; `None`: it had gone before.
    file: Option<usize>,
    /// The whole file is locked; `true`: exclusively.
    locked: Option<bool>,
}

/// What one process of the guest has locked of one file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Ranges {
    /// Number of the file.
    node: u64,
    /// What the guest calls the process.
    owner: u64,
    pid: u32,
    /// Numbers of the open files that it has locked through.
    handles: Vec<u64>,
    /// Whether exclusively, first byte, and how many; 0 reaches to the end.
    locks: Vec<(bool, u64, u64)>,
}
