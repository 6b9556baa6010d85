//! Writes file contents into a data blob.

use std::io::{self, Read, Write};

use thiserror::Error;

use crate::BLOCK_SIZE;
use crate::archive::{ArchiveError, Entry, Reader};
use crate::tree::{Extent, File};

/// Chunks that a sparse file is divided into at most. More and smaller holes are filled with zeros,
/// which bounds the size of a chunk table.
const MAX_CHUNKS: u64 = 64 << 10;

/// Why contents could not be stored.
#[derive(Debug, Error)]
pub(crate) enum DataError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("its stored data does not match its sparse map")]
    SparseLength,
    #[error("cannot write to the data blob")]
    Write(#[source] io::Error),
}

/// Appends file after file to a blob.
#[derive(Debug)]
pub(crate) struct DataWriter<W: Write> {
    out: W,
    len: u64,
}

impl<W: Write> DataWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, len: 0 }
    }

    /// Copies the content of the reader's current entry.
    pub(crate) fn copy<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        entry: &Entry,
    ) -> Result<File, DataError> {
        let size = entry.size;
        let Some(regions) = &entry.regions else {
            let data = self.len;
            self.copy_bytes(reader, size)?;
            self.pad_to(data + size.next_multiple_of(BLOCK_SIZE))?;
            let extent = Extent { offset: 0, data, len: self.len - data };
            let extents = if size == 0 { vec![] } else { vec![extent] };
            return Ok(File { size, extents });
        };
        let stored: u64 = regions.iter().map(|r| r.len).sum();
        if stored != reader.remaining() {
            return Err(DataError::SparseLength);
        }
        let file_end = size.next_multiple_of(BLOCK_SIZE);
        let chunk = chunk_size(size);
        let mut extents: Vec<Extent> = Vec::new();
        for region in regions.iter().filter(|r| r.len > 0) {
            let start = region.offset - region.offset % chunk;
            // The open extent is the last one, and reaches to the end of the blob.
            let end_of = |e: &Extent, len: u64| e.offset + (len - e.data);
            match extents.last_mut() {
                Some(last) if start <= end_of(last, self.len).next_multiple_of(chunk) => {
                    self.pad_to(last.data + (region.offset - last.offset))?;
                }
                last => {
                    if let Some(last) = last {
                        self.close(last, chunk, file_end)?;
                    }
                    extents.push(Extent { offset: start, data: self.len, len: 0 });
                    self.pad_to(self.len + (region.offset - start))?;
                }
            }
            self.copy_bytes(reader, region.len)?;
        }
        if let Some(last) = extents.last_mut() {
            self.close(last, chunk, file_end)?;
        }
        Ok(File { size, extents })
    }

    /// Returns the bytes written, a multiple of the block size.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.len)
    }

    fn close(&mut self, extent: &mut Extent, chunk: u64, file_end: u64) -> Result<(), DataError> {
        let end = extent.offset + (self.len - extent.data);
        let end = end.next_multiple_of(chunk).min(file_end);
        extent.len = end - extent.offset;
        self.pad_to(extent.data + extent.len)
    }

    fn copy_bytes<R: Read>(&mut self, reader: &mut Reader<R>, len: u64) -> Result<(), DataError> {
        let mut left = len;
        while left > 0 {
            let bytes = reader.data(left)?;
            if bytes.is_empty() {
                return Err(ArchiveError::Cut.into());
            }
            left -= bytes.len() as u64;
            self.len += bytes.len() as u64;
            self.out.write_all(bytes).map_err(DataError::Write)?;
        }
        Ok(())
    }

    fn pad_to(&mut self, end: u64) -> Result<(), DataError> {
        while self.len < end {
            let len = (end - self.len).min(BLOCK_SIZE);
            self.out
                .write_all(&[0; BLOCK_SIZE as usize][..len as usize])
                .map_err(DataError::Write)?;
            self.len += len;
        }
        Ok(())
    }
}

/// Returns the unit in which holes of a file of `size` bytes are kept: a power of two.
fn chunk_size(size: u64) -> u64 {
    size.div_ceil(MAX_CHUNKS).max(BLOCK_SIZE).next_power_of_two()
}
