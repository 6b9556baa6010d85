//! The operations, as FUSE names and orders their arguments.

mod attributes;
mod directories;
mod files;
mod locking;
mod names;
mod sockets;
mod xattr;

pub(crate) use attributes::attributes;
pub(crate) use locking::openable;
