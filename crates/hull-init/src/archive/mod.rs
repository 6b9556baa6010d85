//! File trees in motion: copied inside the guest, and out of and into containers as tar archives.

pub(crate) mod changes;
mod header;
pub(crate) mod pack;
pub(crate) mod tree;
pub(crate) mod unpack;
