//! Reads tar archives as Go's `archive/tar`, and so Docker, reads them.
//!
//! The `tar` crate is not used: it cannot report PAX sparse maps (0.0, 0.1, 1.0), applies global PAX
//! headers or size overrides in other cases than Go does, and stops at broken headers that Go
//! refuses. Layers are defined by what the existing engines unpack, so this reader follows them
//! field by field. Sources: POSIX.1-2001 `pax`, GNU tar manual "Basic Tar Format" and "Storing
//! Sparse Files", and the behaviour recorded in `tests/docker`.

mod header;
mod pax;
mod source;
mod sparse;

use std::io::{self, Read};

use thiserror::Error;

pub(crate) use source::Source;
use sparse::Region;

use crate::limits::Limits;
use crate::tree::{Timestamp, Xattr};

/// Size in bytes of headers, and alignment of everything.
const RECORD: usize = 512;

/// One member of an archive, extended headers applied.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    /// Type flag byte; NUL is mapped to `0` or `5` as its name says.
    pub(crate) kind: u8,
    pub(crate) mode: i64,
    pub(crate) uid: i64,
    pub(crate) gid: i64,
    pub(crate) mtime: Timestamp,
    pub(crate) major: i64,
    pub(crate) minor: i64,
    /// Bytes of the file as it appears.
    pub(crate) size: u64,
    /// Parts of a sparse file that are stored; `None` if all of it is.
    pub(crate) regions: Option<Vec<Region>>,
    pub(crate) xattrs: Vec<Xattr>,
}

/// Why bytes are not a tar archive, or not one that is acceptable.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    #[error("the archive is cut short")]
    Cut,
    #[error("invalid tar header: {0}")]
    Header(&'static str),
    #[error("an extended header has {len} bytes, more than the {max} that are allowed")]
    HeaderTooLong { len: u64, max: u64 },
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    #[error("the archive has more than {max} bytes")]
    TooLong { max: u64 },
}

/// Iterates an archive.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    source: Source<R>,
    max_header: u64,
    /// Bytes of the current entry's data that are not read yet, and of padding after them.
    remaining: u64,
    padding: u64,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(reader: R, limits: &Limits) -> Self {
        Self {
            source: Source::new(reader, limits.max_tar_bytes),
            max_header: limits.max_header_bytes,
            remaining: 0,
            padding: 0,
        }
    }

    /// Returns the next entry, `None` at the end. What was not read of the last one's data is
    /// skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut records = Vec::new();
        let mut long_name = Vec::new();
        let mut long_link = Vec::new();
        loop {
            self.skip_data()?;
            let Some(block) = self.header_block()? else {
                return Ok(None);
            };
            let mut entry = header::parse(&block)?;
            self.start_data(&entry)?;
            match entry.kind {
                b'x' => records = pax::parse(&self.special()?)?,
                // Go hands these to its caller and applies them to nothing; Docker ignores them.
                b'g' => {
                    pax::parse(&self.special()?)?;
                    records.clear();
                    long_name.clear();
                    long_link.clear();
                }
                b'L' => long_name = until_nul(&self.special()?).to_vec(),
                b'K' => long_link = until_nul(&self.special()?).to_vec(),
                _ => {
                    pax::apply(&records, &mut entry)?;
                    if !long_name.is_empty() {
                        entry.name = long_name;
                    }
                    if !long_link.is_empty() {
                        entry.link = long_link;
                    }
                    if entry.kind == 0 {
                        let slash = entry.name.last() == Some(&b'/');
                        entry.kind = if slash { b'5' } else { b'0' };
                    }
                    self.start_data(&entry)?;
                    self.start_sparse(&block, &records, &mut entry)?;
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// Returns the next bytes of the current entry's data as it is stored, at most `max`; empty at
    /// its end.
    pub(crate) fn data(&mut self, max: u64) -> Result<&[u8], ArchiveError> {
        let max = max.min(self.remaining);
        if max == 0 {
            return Ok(&[]);
        }
        let bytes = self.source.take(usize::try_from(max).unwrap_or(usize::MAX))?;
        if bytes.is_empty() {
            return Err(ArchiveError::Cut);
        }
        self.remaining -= bytes.len() as u64;
        Ok(bytes)
    }

    /// Returns how many bytes of the current entry's data are left.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Reads what follows the archive and returns the digest of everything.
    pub(crate) fn finish(self) -> Result<[u8; 32], ArchiveError> {
        self.source.finish()
    }

    fn skip_data(&mut self) -> Result<(), ArchiveError> {
        while !self.data(u64::MAX)?.is_empty() {}
        // The padding of the very last entry may be missing.
        while self.padding > 0 {
            let taken = self.source.take(self.padding as usize)?.len();
            if taken == 0 {
                break;
            }
            self.padding -= taken as u64;
        }
        self.padding = 0;
        Ok(())
    }

    /// Returns the next header; `None` at the end of the archive, which is two blocks of zeros or
    /// the end of the stream.
    fn header_block(&mut self) -> Result<Option<[u8; RECORD]>, ArchiveError> {
        let Some(block) = self.source.block()? else {
            return Ok(None);
        };
        if block != [0; RECORD] {
            return Ok(Some(block));
        }
        match self.source.block()? {
            None => Ok(None),
            Some(block) if block == [0; RECORD] => Ok(None),
            Some(_) => Err(ArchiveError::Header("data after a block of zeros")),
        }
    }

    fn start_data(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        let size = if header_only(entry.kind) { 0 } else { entry.size };
        if size > i64::MAX as u64 {
            return Err(ArchiveError::Header("negative size"));
        }
        self.remaining = size;
        self.padding = size.wrapping_neg() % RECORD as u64;
        Ok(())
    }

    fn start_sparse(
        &mut self,
        block: &[u8; RECORD],
        records: &[pax::Record],
        entry: &mut Entry,
    ) -> Result<(), ArchiveError> {
        let regions = if entry.kind == b'S' {
            entry.kind = b'0';
            Some(self.old_sparse(block, entry)?)
        } else {
            match sparse::pax(records, entry)? {
                sparse::Map::Absent => None,
                sparse::Map::Regions(regions) => Some(regions),
                sparse::Map::InData => Some(self.sparse_map_in_data()?),
            }
        };
        if let Some(regions) = regions {
            if header_only(entry.kind) || !sparse::valid(&regions, entry.size) {
                return Err(ArchiveError::Header("invalid sparse map"));
            }
            entry.regions = Some(regions);
        }
        Ok(())
    }

    fn old_sparse(
        &mut self,
        block: &[u8; RECORD],
        entry: &mut Entry,
    ) -> Result<Vec<Region>, ArchiveError> {
        let (mut regions, mut more) = sparse::old(block, entry)?;
        while more {
            if (regions.len() * 24) as u64 > self.max_header {
                return Err(self.too_long((regions.len() * 24) as u64));
            }
            // These blocks come before the data and do not count as part of it.
            let block = self.source.block()?.ok_or(ArchiveError::Cut)?;
            more = sparse::old_extension(&block, &mut regions)?;
        }
        Ok(regions)
    }

    fn sparse_map_in_data(&mut self) -> Result<Vec<Region>, ArchiveError> {
        let mut map = sparse::MapParser::default();
        let mut read = 0;
        while !map.is_complete() {
            if read >= self.max_header {
                return Err(self.too_long(read));
            }
            let mut block = [0; RECORD];
            let mut filled = 0;
            while filled < RECORD {
                let bytes = self.data((RECORD - filled) as u64)?;
                if bytes.is_empty() {
                    return Err(ArchiveError::Cut);
                }
                block[filled..filled + bytes.len()].copy_from_slice(bytes);
                filled += bytes.len();
            }
            read += RECORD as u64;
            map.feed(&block)?;
        }
        map.regions()
    }

    /// Returns the data of an extended header.
    fn special(&mut self) -> Result<Vec<u8>, ArchiveError> {
        if self.remaining > self.max_header {
            return Err(self.too_long(self.remaining));
        }
        let mut out = Vec::with_capacity(self.remaining as usize);
        loop {
            let bytes = self.data(u64::MAX)?;
            if bytes.is_empty() {
                return Ok(out);
            }
            out.extend_from_slice(bytes);
        }
    }

    fn too_long(&self, len: u64) -> ArchiveError {
        ArchiveError::HeaderTooLong { len, max: self.max_header }
    }
}

/// Kinds that have no data, whatever their size field says.
fn header_only(kind: u8) -> bool {
    matches!(kind, b'1'..=b'6')
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}
