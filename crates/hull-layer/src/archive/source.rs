//! The byte stream under an archive: buffered, hashed, counted.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::{ArchiveError, RECORD};

/// Reads ahead in large pieces and hashes each as it arrives.
pub(crate) struct Source<R> {
    reader: R,
    hash: Sha256,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    total: u64,
    max: u64,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(reader: R, max: u64) -> Self {
        Self {
            reader,
            hash: Sha256::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            total: 0,
            max,
        }
    }

    /// Returns the next bytes, at most `max`; empty at the end of the stream.
    pub(super) fn take(&mut self, max: usize) -> Result<&[u8], ArchiveError> {
        if self.start == self.end {
            self.fill()?;
        }
        let start = self.start;
        self.start = self.end.min(start.saturating_add(max));
        Ok(&self.buffer[start..self.start])
    }

    /// Returns the next block; `None` at the end of the stream.
    pub(super) fn block(&mut self) -> Result<Option<[u8; RECORD]>, ArchiveError> {
        let mut block = [0; RECORD];
        let mut filled = 0;
        while filled < RECORD {
            let bytes = self.take(RECORD - filled)?;
            if bytes.is_empty() {
                return match filled {
                    0 => Ok(None),
                    _ => Err(ArchiveError::Cut),
                };
            }
            block[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        }
        Ok(Some(block))
    }

    /// Reads the stream to its end and returns the digest of all of it.
    pub(super) fn finish(mut self) -> Result<[u8; 32], ArchiveError> {
        while !self.take(usize::MAX)?.is_empty() {}
        Ok(self.hash.finalize().into())
    }

    fn fill(&mut self) -> Result<(), ArchiveError> {
        self.start = 0;
        self.end = loop {
            match self.reader.read(&mut self.buffer) {
                Ok(len) => break len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::Read(error)),
            }
        };
        self.total += self.end as u64;
        if self.total > self.max {
            return Err(ArchiveError::TooLong { max: self.max });
        }
        self.hash.update(&self.buffer[..self.end]);
        Ok(())
    }
}

impl<R> std::fmt::Debug for Source<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("total", &self.total).finish_non_exhaustive()
    }
}

/// Bytes read at once: large enough to make calls cheap, small enough to stay in the cache.
const BUFFER: usize = 128 << 10;
