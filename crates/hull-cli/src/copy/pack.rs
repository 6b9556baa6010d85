//! Files of this machine as an archive.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::output;

/// Writes `source` with all that is in it; `root` is its name in the archive. What cannot be read
/// is told and left out, as docker's client does.
///
/// # Errors
/// If the archive cannot be written.
pub(crate) fn pack(source: &Path, root: &str, out: impl Write) -> io::Result<()> {
    let mut packer = Packer { archive: Builder::new(out), links: HashMap::new() };
    packer.entry(source, root.as_bytes(), 0)?;
    packer.archive.finish()
}

struct Packer<W: Write> {
    archive: Builder<W>,
    /// First names of files with several.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Packer<W> {
    fn entry(&mut self, path: &Path, name: &[u8], depth: u32) -> io::Result<()> {
        match self.try_entry(path, name, depth) {
            Err(Unpacked::Read(error)) => {
                output::error(&format!("Can't add file {} to tar: {error}", path.display()));
                Ok(())
            }
            Err(Unpacked::Write(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    fn try_entry(&mut self, path: &Path, name: &[u8], depth: u32) -> Result<(), Unpacked> {
        let stat = fs::symlink_metadata(path).map_err(Unpacked::Read)?;
        let mut header = header(&stat);
        let kind = stat.file_type();
        if kind.is_dir() {
            return self.directory(path, header, name, depth);
        }
        if stat.nlink() > 1 {
            let inode = (stat.dev(), stat.ino());
            if let Some(first) = self.links.get(&inode).cloned() {
                header.set_entry_type(EntryType::Link);
                return self.append_link(header, name, &first);
            }
            self.links.insert(inode, name.to_vec());
        }
        if kind.is_symlink() {
            let target = fs::read_link(path).map_err(Unpacked::Read)?;
            header.set_entry_type(EntryType::Symlink);
            return self.append_link(header, name, target.as_os_str().as_bytes());
        }
        if kind.is_file() {
            let file = File::open(path).map_err(Unpacked::Read)?;
            header.set_entry_type(EntryType::Regular);
            header.set_size(stat.len());
            // Whatever the file's size is by now.
            let content = file.chain(io::repeat(0)).take(stat.len());
            return self.append(header, name, content);
        }
        let device = || (major(stat.rdev()), minor(stat.rdev()));
        let numbers = if kind.is_char_device() {
            header.set_entry_type(EntryType::Char);
            device()
        } else if kind.is_block_device() {
            header.set_entry_type(EntryType::Block);
            device()
        } else if kind.is_fifo() {
            header.set_entry_type(EntryType::Fifo);
            (0, 0)
        } else {
            // A socket has no place in an archive.
            return Ok(());
        };
        header.set_device_major(numbers.0).map_err(Unpacked::Read)?;
        header.set_device_minor(numbers.1).map_err(Unpacked::Read)?;
        self.append(header, name, io::empty())
    }

    fn directory(
        &mut self,
        path: &Path,
        mut header: Header,
        name: &[u8],
        depth: u32,
    ) -> Result<(), Unpacked> {
        if depth > 1000 {
            return Err(Unpacked::Read(io::Error::other("file name too long")));
        }
        let mut names: Vec<_> = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
            .map_err(Unpacked::Read)?;
        names.sort();
        header.set_entry_type(EntryType::Directory);
        let prefix = [name, b"/"].concat();
        self.append(header, &prefix, io::empty())?;
        for inner in names {
            let inner_name = [prefix.as_slice(), inner.as_bytes()].concat();
            self.entry(&path.join(&inner), &inner_name, depth + 1).map_err(Unpacked::Write)?;
        }
        Ok(())
    }

    fn append(&mut self, mut header: Header, name: &[u8], data: impl Read) -> Result<(), Unpacked> {
        let data = io::BufReader::with_capacity(128 << 10, data);
        self.archive.append_data(&mut header, path(name), data).map_err(Unpacked::Write)
    }

    fn append_link(
        &mut self,
        mut header: Header,
        name: &[u8],
        target: &[u8],
    ) -> Result<(), Unpacked> {
        self.archive.append_link(&mut header, path(name), path(target)).map_err(Unpacked::Write)
    }
}

/// Why an entry is not in the archive.
enum Unpacked {
    /// It cannot be read, the others perhaps can.
    Read(io::Error),
    /// The archive is wanted no more.
    Write(io::Error),
}

fn header(stat: &Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(stat.mode() & 0o7777);
    header.set_uid(stat.uid().into());
    header.set_gid(stat.gid().into());
    header.set_mtime(u64::try_from(stat.mtime()).unwrap_or(0));
    header.set_size(0);
    header
}

fn path(name: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(name))
}

#[allow(clippy::useless_conversion, reason = "the type differs between systems")]
fn major(device: u64) -> u32 {
    rustix::fs::major(device as _).into()
}

#[allow(clippy::useless_conversion, reason = "the type differs between systems")]
fn minor(device: u64) -> u32 {
    rustix::fs::minor(device as _).into()
}
