//! A tar stream becomes a tree and a data blob.

use std::io::{self, BufWriter, Read, Write};

use thiserror::Error;

use crate::archive::{ArchiveError, Entry, Reader};
use crate::data::{DataError, DataWriter};
use crate::tree::{Device, Directory, Kind, Tree};
use crate::unpack::{EntryError, Place, Unpacker, display};
use crate::{Digest, Limits};

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
    #[error("the layer's archive is unusable after {}", Position(last))]
    Archive {
        /// Name of the last entry that was read; empty if there was none.
        last: String,
        #[source]
        source: ArchiveError,
    },
    #[error("cannot unpack `{name}` of the layer")]
    Entry {
        name: String,
        #[source]
        source: EntryError,
    },
    #[error("cannot unpack `{name}` of the layer: its data does not match its sparse map")]
    SparseLength { name: String },
    #[error("the layer has more {what} than the {max} that are allowed")]
    TooMuch { what: &'static str, max: u64 },
    #[error("cannot write the layer's data")]
    Write(#[source] io::Error),
}

/// Converts the uncompressed tar stream `reader`, read to its end, and writes the contents of its
/// files to `data` in order. Neither needs a buffer. `data` is not flushed to disk.
///
/// # Errors
/// If the stream cannot be read or is no tar archive, an entry is hostile or impossible (the error
/// names it), a limit is exceeded, or `data` cannot be written. What was written then is of no use.
pub fn convert(
    reader: impl Read,
    data: &mut impl Write,
    limits: &Limits,
) -> Result<Converted, ConvertError> {
    let mut reader = Reader::new(reader, limits);
    let mut data = DataWriter::new(BufWriter::with_capacity(WRITE_BUFFER, data));
    let mut unpacker = Unpacker::new(limits);
    let mut used = Used::default();
    let mut last = Vec::new();
    let archive = |last: &[u8], source| ConvertError::Archive { last: display(last), source };
    while let Some(entry) = reader.next().map_err(|error| archive(&last, error))? {
        used.add(&entry, limits)?;
        unpack(&mut unpacker, &entry, &mut reader, &mut data)?;
        check("metadata bytes", unpacker.metadata_bytes(), limits.max_metadata_bytes)?;
        last = entry.name;
    }
    let diff_id = reader.finish().map_err(|error| archive(&last, error))?;
    Ok(Converted {
        tree: unpacker.finish(),
        diff_id: Digest(diff_id),
        data_len: data.finish().map_err(ConvertError::Write)?,
    })
}

fn unpack<R: Read, W: Write>(
    unpacker: &mut Unpacker,
    entry: &Entry,
    reader: &mut Reader<R>,
    data: &mut DataWriter<W>,
) -> Result<(), ConvertError> {
    // Like mknod(2): 12 bits of the major number, 20 of the minor one.
    let device = Device { major: entry.major as u32 & 0xfff, minor: entry.minor as u32 & 0xf_ffff };
    if entry.kind == b'g' {
        return Ok(());
    }
    let error = |source| ConvertError::Entry { name: display(&entry.name), source };
    let place = unpacker.place(entry).map_err(error)?;
    if let Place::Done = place {
        return Ok(());
    }
    let kind = match entry.kind {
        b'0' => Kind::File(data.copy(reader, entry).map_err(|source| data_error(entry, source))?),
        b'1' => return unpacker.link(&place, entry).map_err(error),
        b'2' => Kind::Symlink(unpacker.target(entry).map_err(error)?),
        b'3' => Kind::CharDevice(device),
        b'4' => Kind::BlockDevice(device),
        b'5' => Kind::Directory(Directory::default()),
        b'6' => Kind::Fifo,
        other => return Err(error(EntryError::Type(char::from(other)))),
    };
    unpacker.put(&place, entry, kind).map_err(error)
}

fn data_error(entry: &Entry, source: DataError) -> ConvertError {
    let name = display(&entry.name);
    match source {
        DataError::Archive(source) => ConvertError::Archive { last: name, source },
        DataError::SparseLength => ConvertError::SparseLength { name },
        DataError::Write(source) => ConvertError::Write(source),
    }
}

/// What the layer has taken of its limits.
#[derive(Default)]
struct Used {
    entries: u64,
    content: u64,
}

impl Used {
    fn add(&mut self, entry: &Entry, limits: &Limits) -> Result<(), ConvertError> {
        self.entries += 1;
        check("entries", self.entries, limits.max_entries)?;
        if entry.kind == b'0' {
            self.content = self.content.saturating_add(entry.size);
        }
        check("bytes of files", self.content, limits.max_content_bytes)
    }
}

fn check(what: &'static str, used: u64, max: u64) -> Result<(), ConvertError> {
    if used > max {
        return Err(ConvertError::TooMuch { what, max });
    }
    Ok(())
}

/// A place in an archive, for messages.
struct Position<'a>(&'a str);

impl std::fmt::Display for Position<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "" => f.write_str("its start"),
            name => write!(f, "`{name}`"),
        }
    }
}

/// Bytes gathered before they are written, so that small files do not cost a call each.
const WRITE_BUFFER: usize = 256 << 10;
