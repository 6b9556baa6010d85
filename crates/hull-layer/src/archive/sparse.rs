//! Sparse files: the old GNU header and the three PAX formats 0.0, 0.1 and 1.0.

use super::pax::{Record, decimal, value};
use super::{ArchiveError, Entry, RECORD, header};

/// A part of a sparse file that is stored, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Region {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// Where the PAX records of an entry say that its map is.
pub(super) enum Map {
    Absent,
    /// At the start of its data (format 1.0).
    InData,
    Regions(Vec<Region>),
}

const INVALID: ArchiveError = ArchiveError::Header("invalid sparse map");

/// Returns the map that PAX records describe, and applies their name and size to `entry`.
pub(super) fn pax(records: &[Record], entry: &mut Entry) -> Result<Map, ArchiveError> {
    let version = (value(records, "GNU.sparse.major"), value(records, "GNU.sparse.minor"));
    let text = map_text(records)?;
    let in_data = match version {
        (b"0", b"0" | b"1") => false,
        (b"1", b"0") => true,
        (b"", b"") if !text.is_empty() => false,
        _ => return Ok(Map::Absent),
    };
    let name = value(records, "GNU.sparse.name");
    if !name.is_empty() {
        if name.contains(&0) {
            return Err(ArchiveError::Header("name with a NUL byte"));
        }
        entry.name = name.to_vec();
    }
    let size = match value(records, "GNU.sparse.size") {
        b"" => value(records, "GNU.sparse.realsize"),
        size => size,
    };
    if !size.is_empty() {
        entry.size = decimal(size)?.cast_unsigned();
    }
    if in_data {
        return Ok(Map::InData);
    }
    let count = decimal(value(records, "GNU.sparse.numblocks"))?;
    let numbers = match &text[..] {
        b"" => Vec::new(),
        text => text.split(|&b| b == b',').map(unsigned).collect::<Result<Vec<_>, _>>()?,
    };
    if usize::try_from(count).ok().and_then(|n| n.checked_mul(2)) != Some(numbers.len()) {
        return Err(INVALID);
    }
    Ok(Map::Regions(pairs(&numbers)))
}

/// Returns the map in an old GNU header, and whether a block with more of it follows; applies the
/// real size to `entry`.
pub(super) fn old(
    block: &[u8; RECORD],
    entry: &mut Entry,
) -> Result<(Vec<Region>, bool), ArchiveError> {
    if !header::is_gnu(block) {
        return Err(ArchiveError::Header("sparse file in a format without them"));
    }
    entry.size = header::number(&block[483..495])?.cast_unsigned();
    let mut regions = Vec::new();
    old_entries(&block[386..482], &mut regions)?;
    Ok((regions, block[482] > 0))
}

/// Adds the map in a block after an old GNU header; returns whether another follows.
pub(super) fn old_extension(
    block: &[u8; RECORD],
    regions: &mut Vec<Region>,
) -> Result<bool, ArchiveError> {
    old_entries(&block[..504], regions)?;
    Ok(block[504] > 0)
}

/// Returns whether the regions are in order, apart, and within a file of `size` bytes.
pub(super) fn valid(regions: &[Region], size: u64) -> bool {
    let mut end = 0;
    let in_order = regions.iter().all(|region| {
        let starts_after = region.offset >= end;
        region.offset.checked_add(region.len).is_some_and(|e| {
            end = e;
            starts_after && e <= size
        })
    });
    in_order && size <= i64::MAX as u64
}

/// Parses a map of format 1.0: lines of decimal numbers, the count of regions first.
#[derive(Debug, Default)]
pub(super) struct MapParser {
    number: Option<u64>,
    numbers: Vec<u64>,
}

impl MapParser {
    /// Takes a block; what follows the map in its last one is padding.
    pub(super) fn feed(&mut self, block: &[u8]) -> Result<(), ArchiveError> {
        for &byte in block {
            if self.is_complete() {
                return Ok(());
            }
            match byte {
                b'\n' => self.numbers.push(self.number.take().ok_or(INVALID)?),
                b'0'..=b'9' => {
                    let number = self.number.unwrap_or(0);
                    let digit = u64::from(byte - b'0');
                    let number = number.checked_mul(10).and_then(|n| n.checked_add(digit));
                    self.number = Some(number.ok_or(INVALID)?);
                }
                _ => return Err(INVALID),
            }
        }
        Ok(())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.numbers.first().is_some_and(|count| (self.numbers.len() as u64 - 1) / 2 >= *count)
    }

    pub(super) fn regions(self) -> Result<Vec<Region>, ArchiveError> {
        let numbers = self.numbers.get(1..).ok_or(INVALID)?;
        Ok(pairs(numbers))
    }
}

/// Returns the map of format 0.1, or joins the repeated records of format 0.0 to one.
fn map_text(records: &[Record]) -> Result<Vec<u8>, ArchiveError> {
    let mut joined: Vec<&[u8]> = Vec::new();
    for (key, value) in records {
        let expected = match key.as_slice() {
            b"GNU.sparse.offset" => 0,
            b"GNU.sparse.numbytes" => 1,
            _ => continue,
        };
        if joined.len() % 2 != expected || value.contains(&b',') {
            return Err(INVALID);
        }
        joined.push(value);
    }
    if joined.is_empty() {
        return Ok(value(records, "GNU.sparse.map").to_vec());
    }
    Ok(joined.join(&b','))
}

fn old_entries(fields: &[u8], regions: &mut Vec<Region>) -> Result<(), ArchiveError> {
    for field in fields.as_chunks::<24>().0 {
        if field[0] == 0 {
            break;
        }
        let number = |field| u64::try_from(header::number(field)?).map_err(|_| INVALID);
        regions.push(Region { offset: number(&field[..12])?, len: number(&field[12..])? });
    }
    Ok(())
}

fn unsigned(text: &[u8]) -> Result<u64, ArchiveError> {
    u64::try_from(decimal(text)?).map_err(|_| INVALID)
}

fn pairs(numbers: &[u64]) -> Vec<Region> {
    let pair = |&[offset, len]: &[u64; 2]| Region { offset, len };
    numbers.as_chunks().0.iter().map(pair).collect()
}
