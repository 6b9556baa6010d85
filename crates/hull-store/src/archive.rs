//! Image archives: a tar whose members go to temporary files with names of our own.
//!
//! Nothing of the archive ever becomes a path: members are found by name in a map, links within
//! the archive are followed in that map.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use hull_layer::{Compression, decompress};
use tar::{EntryType, Header};
use tempfile::TempDir;

use crate::home::Home;
use crate::{LoadError, StoreError};

/// An archive on disk, gone with the value.
#[derive(Debug)]
pub(crate) struct Archive {
    dir: TempDir,
    members: BTreeMap<String, Member>,
}

#[derive(Clone, Debug)]
enum Member {
    /// The file of this number.
    File(usize),
    /// Another member.
    Link(String),
}

impl Archive {
    /// Reads a whole archive, compressed or not.
    pub(crate) fn read(home: &Home, mut reader: impl BufRead) -> Result<Self, LoadError> {
        let start = reader.fill_buf().map_err(LoadError::Archive)?;
        let compression = Compression::detect(start);
        let tar = decompress(reader, compression).map_err(LoadError::Archive)?;
        let mut archive = Self {
            dir: home.temp_dir().map_err(crate::PullError::Store)?,
            members: BTreeMap::new(),
        };
        archive.members(tar)?;
        Ok(archive)
    }

    /// The file of a member; `None` when there is none.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let mut name = normal("", name)?;
        for _ in 0..MAX_LINKS {
            match self.members.get(&name)? {
                Member::File(number) => return Some(self.file(*number)),
                Member::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    /// The content of a small member; `None` when there is none.
    pub(crate) fn small(&self, name: &str) -> Result<Option<Vec<u8>>, LoadError> {
        let Some(path) = self.path(name) else {
            return Ok(None);
        };
        let read = || {
            let mut bytes = Vec::new();
            File::open(&path)?.take(MAX_SMALL + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(LoadError::Archive)?;
        if bytes.len() as u64 > MAX_SMALL {
            return Err(LoadError::Invalid(format!("`{name}` is larger than {MAX_SMALL} bytes")));
        }
        Ok(Some(bytes))
    }

    fn file(&self, number: usize) -> PathBuf {
        self.dir.path().join(number.to_string())
    }

    fn members(&mut self, mut tar: impl Read) -> Result<(), LoadError> {
        let mut next = Overrides::default();
        let mut seen = 0;
        while let Some(header) = header(&mut tar)? {
            seen += 1;
            if seen > MAX_MEMBERS {
                return Err(LoadError::Invalid(format!("it has more than {MAX_MEMBERS} members")));
            }
            let declared = header.entry_size().map_err(LoadError::Archive)?;
            let kind = header.entry_type();
            if matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader)
            {
                next.read(kind, &content(&mut tar, declared)?);
                skip(&mut tar, padding(declared))?;
                continue;
            }
            let overrides = std::mem::take(&mut next);
            let size = overrides.size.unwrap_or(declared);
            let header_name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
            let name = overrides.name.unwrap_or(header_name);
            let Some(name) = normal("", &name) else {
                return Err(LoadError::Invalid(format!(
                    "`{}` leads out of it",
                    name.escape_debug()
                )));
            };
            let target = overrides.link.or_else(|| {
                header.link_name_bytes().map(|l| String::from_utf8_lossy(&l).into_owned())
            });
            match kind {
                EntryType::Regular | EntryType::Continuous => {
                    self.store(&mut tar, name, size)?;
                }
                EntryType::Symlink | EntryType::Link => {
                    // Those of `docker save` lead to the layer of another directory.
                    let parent = match kind {
                        EntryType::Symlink => {
                            name.rsplit_once('/').map_or("", |(parent, _)| parent)
                        }
                        _ => "",
                    };
                    if let Some(target) = target.and_then(|target| normal(parent, &target)) {
                        self.members.insert(name, Member::Link(target));
                    }
                    skip(&mut tar, size)?;
                }
                _ => skip(&mut tar, size)?,
            }
            skip(&mut tar, padding(size))?;
        }
        // Whoever sends the archive shall not be stopped by a closed pipe.
        io::copy(&mut tar, &mut io::sink()).map_err(LoadError::Archive)?;
        Ok(())
    }

    fn store(&mut self, tar: &mut impl Read, name: String, size: u64) -> Result<(), LoadError> {
        let number = self.members.len();
        let path = self.file(number);
        let failed =
            |path: &Path, error| LoadError::Image(StoreError::of("write", path)(error).into());
        // A name that comes twice: the later one counts, under another number.
        let path = if path.exists() { self.file(MAX_MEMBERS + number) } else { path };
        let number = if path == self.file(number) { number } else { MAX_MEMBERS + number };
        let mut file = File::create(&path).map_err(|error| failed(&path, error))?;
        let mut buffer = vec![0; 128 << 10];
        let mut left = size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let length = tar.read(&mut buffer[..want]).map_err(LoadError::Archive)?;
            if length == 0 {
                return Err(LoadError::Archive(io::ErrorKind::UnexpectedEof.into()));
            }
            io::Write::write_all(&mut file, &buffer[..length]).map_err(|e| failed(&path, e))?;
            left -= length as u64;
        }
        if let Some(Member::File(old)) = self.members.insert(name, Member::File(number)) {
            let old = self.file(old);
            fs::remove_file(&old).map_err(|error| failed(&old, error))?;
        }
        Ok(())
    }
}

/// What extended headers say about the next member.
#[derive(Debug, Default)]
struct Overrides {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl Overrides {
    fn read(&mut self, kind: EntryType, content: &[u8]) {
        let text = |bytes: &[u8]| {
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
        };
        match kind {
            EntryType::GNULongName => self.name = text(content),
            EntryType::GNULongLink => self.link = text(content),
            _ => {
                for record in tar::PaxExtensions::new(content).flatten() {
                    match record.key_bytes() {
                        b"path" => self.name = text(record.value_bytes()),
                        b"linkpath" => self.link = text(record.value_bytes()),
                        b"size" => self.size = record.value().ok().and_then(|v| v.parse().ok()),
                        _ => {}
                    }
                }
            }
        }
    }
}

/// The next header; `None` at the end.
fn header(tar: &mut impl Read) -> Result<Option<Header>, LoadError> {
    let mut header = Header::new_old();
    let block = header.as_mut_bytes();
    let mut filled = 0;
    while filled < block.len() {
        match tar.read(&mut block[filled..]).map_err(LoadError::Archive)? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(LoadError::Archive(io::ErrorKind::UnexpectedEof.into())),
            length => filled += length,
        }
    }
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let sum: u32 = block[..148].iter().chain(&block[156..]).map(|byte| u32::from(*byte)).sum();
    if header.cksum().ok() != Some(sum + 8 * u32::from(b' ')) {
        return Err(LoadError::Invalid("it is not a tar archive".to_owned()));
    }
    Ok(Some(header))
}

fn content(tar: &mut impl Read, size: u64) -> Result<Vec<u8>, LoadError> {
    if size > MAX_EXTENDED {
        return Err(LoadError::Invalid("an extended header is too large".to_owned()));
    }
    let mut bytes = Vec::new();
    tar.take(size).read_to_end(&mut bytes).map_err(LoadError::Archive)?;
    Ok(bytes)
}

fn skip(tar: &mut impl Read, size: u64) -> Result<(), LoadError> {
    let skipped = io::copy(&mut tar.take(size), &mut io::sink()).map_err(LoadError::Archive)?;
    if skipped < size {
        return Err(LoadError::Archive(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}

fn padding(size: u64) -> u64 {
    size.next_multiple_of(512) - size
}

/// A name without `.` and `..`; `None` when it leads out of the archive.
fn normal(parent: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    let parent = if name.starts_with('/') { "" } else { parent };
    for part in parent.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

const MAX_MEMBERS: usize = 100_000;
const MAX_LINKS: usize = 8;
const MAX_EXTENDED: u64 = 64 << 10;
const MAX_SMALL: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Result<Archive, LoadError> {
        let root = TempDir::new().unwrap();
        let home = Home::create(root.path()).unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder);
        let bytes = builder.into_inner().unwrap();
        let archive = Archive::read(&home, bytes.as_slice());
        // The test's archives must outlive the store they are in.
        drop(root.keep());
        archive
    }

    fn add(builder: &mut tar::Builder<Vec<u8>>, name: &str, content: &str) {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }

    fn link(builder: &mut tar::Builder<Vec<u8>>, name: &str, target: &str) {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, name, target).unwrap();
    }

    #[test]
    fn members_by_name() {
        let long = "d/".repeat(80) + "x";
        let archive = archive(|builder| {
            add(builder, "./a", "first");
            add(builder, "a", "second");
            add(builder, &long, "long");
            add(builder, "empty", "");
            link(builder, "b/link", "../a");
            link(builder, "b/out", "../../../../etc/passwd");
            link(builder, "loop", "loop");
        })
        .unwrap();
        let text = |name: &str| {
            archive.small(name).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(text("a").as_deref(), Some("second"));
        assert_eq!(text(&long).as_deref(), Some("long"));
        assert_eq!(text("empty").as_deref(), Some(""));
        assert_eq!(text("b/link").as_deref(), Some("second"));
        for name in ["b/out", "loop", "absent", "../a", "/etc/passwd"] {
            assert_eq!(text(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        let error = archive(|builder| {
            let mut header = Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..7].copy_from_slice(b"../evil");
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, io::empty()).unwrap();
        });
        assert!(error.unwrap_err().to_string().contains("leads out"), "");
    }

    #[test]
    fn garbage_is_refused() {
        let root = TempDir::new().unwrap();
        let home = Home::create(root.path()).unwrap();
        for garbage in [b"x".repeat(10), b"x".repeat(2000)] {
            assert!(Archive::read(&home, garbage.as_slice()).is_err());
        }
        assert_eq!(fs::read_dir(home.tmp()).unwrap().count(), 0);
    }
}
