//! File trees in motion: copied inside the guest, and out of and into containers as tar archives.

pub(crate) mod tree;
