//! A tar stream becomes a tree and a data blob.

use std::io::{self, Read, Write};

use thiserror::Error;

use crate::{Digest, Limits, Tree};

/// A converted layer; the contents went to the data blob.
#[derive(Debug)]
pub struct Converted {
    pub tree: Tree,
    /// SHA-256 of the whole uncompressed stream, bytes after the end of the archive included.
    pub diff_id: Digest,
    /// Bytes written to the data blob: a multiple of [`crate::BLOCK_SIZE`].
    pub data_len: u64,
}

/// Why a layer cannot be converted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConvertError {
    #[error("cannot read the layer's archive")]
    Read(#[source] io::Error),
    #[error("cannot write the layer's data")]
    Write(#[source] io::Error),
}

/// Converts the uncompressed tar stream `reader`, read to its end, and writes the contents of its
/// files to `data` in order. `data` should be unbuffered or have a large buffer; it is not flushed
/// to disk.
///
/// # Errors
/// If the stream cannot be read or is no tar archive, an entry is hostile or impossible (the error
/// names it), a limit is exceeded, or `data` cannot be written. What was written then is of no use.
#[expect(clippy::todo)]
pub fn convert(
    _reader: impl Read,
    _data: &mut impl Write,
    _limits: &Limits,
) -> Result<Converted, ConvertError> {
    todo!()
}
