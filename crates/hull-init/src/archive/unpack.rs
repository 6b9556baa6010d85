//! Extracting a tar archive, for `docker cp` into a container.
//!
//! The caller has changed its root to the container's: no name in the archive leads out of that.
//! Names that lead out of the target directory are refused, as Docker refuses them.

use std::ffi::CString;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::header::{BLOCK, Header, Malformed};
use crate::container::paths::is_directory;
use crate::failure::{Context, Failure, Result};
use crate::tasks::open_inside;

/// Whose files are.
pub(crate) type Owner = (Uid, Gid);

/// Extracts the archive `input` into the directory `path` of the current root. All will be
/// `owner`'s, if that is given, or whose the archive says.
pub(crate) fn unpack(
    path: &str,
    input: &OwnedFd,
    no_overwrite_dir_non_dir: bool,
    owner: Option<Owner>,
) -> Result<()> {
    let input = input.try_clone().map_err(|error| Failure::failed(format!("dup: {error}")))?;
    let target = open_inside(path, OFlags::PATH)?;
    if !is_directory(&target).context(|| format!("stat {path}"))? {
        return Err(Failure::invalid("extraction point is not a directory"));
    }
    let mut unpacker = Unpacker {
        target,
        path,
        input: BufReader::with_capacity(64 << 10, File::from(input)),
        no_overwrite_dir_non_dir,
        owner,
        directories: Vec::new(),
    };
    let result = unpacker.run();
    if result.is_ok() {
        // The sender may be slower to end than the archive.
        let _ = std::io::copy(&mut unpacker.input, &mut std::io::sink());
    }
    result
}

struct Unpacker<'a> {
    target: OwnedFd,
    path: &'a str,
    input: BufReader<File>,
    no_overwrite_dir_non_dir: bool,
    owner: Option<Owner>,
    /// Directories and their times, which are set when nothing changes them any more.
    directories: Vec<(Vec<u8>, Timestamps)>,
}

impl Unpacker<'_> {
    fn run(&mut self) -> Result<()> {
        while let Some(header) = self.next()? {
            let what = || format!("extract {:?}", String::from_utf8_lossy(&header.path));
            let rest = header.size.next_multiple_of(BLOCK as u64) - header.size;
            self.extract(&header).context(what)?;
            // What fills up the last block may be missing at the very end.
            let _ = self.skip(rest);
        }
        for (path, times) in std::mem::take(&mut self.directories) {
            if let Ok(directory) = self.open(&path) {
                let _ = rustix::fs::utimensat(directory, ".", &times, AtFlags::empty());
            }
        }
        Ok(())
    }

    /// Returns the next entry, `None` at the end.
    fn next(&mut self) -> Result<Option<Header>> {
        let mut records: Option<Vec<u8>> = None;
        let (mut long_path, mut long_link) = (None, None);
        loop {
            let mut block = [0; BLOCK];
            match self.fill(&mut block)? {
                0 if records.is_none() => return Ok(None),
                BLOCK => {}
                _ => return Err(cut_off()),
            }
            let Some(mut header) = Header::decode(&block).map_err(malformed)? else {
                return Ok(None);
            };
            match header.kind {
                b'x' => records = Some(self.read_all(header.size)?),
                b'g' => drop(self.read_all(header.size)?),
                b'L' => long_path = Some(self.read_name(header.size)?),
                b'K' => long_link = Some(self.read_name(header.size)?),
                _ => {
                    header.path = long_path.unwrap_or(header.path);
                    header.link = long_link.unwrap_or(header.link);
                    header.apply(&records.unwrap_or_default()).map_err(malformed)?;
                    return Ok(Some(header));
                }
            }
        }
    }

    fn extract(&mut self, header: &Header) -> Result<()> {
        let path = clean(&header.path).ok_or_else(|| self.breakout(&header.path))?;
        let (parent, name) = split(&path);
        let parent = self.open_or_make(parent)?;
        let name = CString::new(name).map_err(|_| Failure::invalid("name with a null byte"))?;
        let kind = header.file_type();
        if name.is_empty() {
            // The target itself.
            if kind == Some(FileType::Directory) {
                return Ok(());
            }
            return Err(self.breakout(&header.path));
        }
        let name = name.as_c_str();
        if let Ok(existing) = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            let was_directory = FileType::from_raw_mode(existing.st_mode) == FileType::Directory;
            let is_directory = kind == Some(FileType::Directory);
            if was_directory != is_directory && self.no_overwrite_dir_non_dir {
                let (old, new) = match was_directory {
                    true => ("directory", "non-directory"),
                    false => ("non-directory", "directory"),
                };
                return Err(Failure::invalid(format!(
                    "cannot overwrite {old} {:?} with {new} {:?}",
                    format!("{}/{}", self.path.trim_end_matches('/'), lossy(&path)),
                    self.path
                )));
            }
            if !(was_directory && is_directory) {
                remove(&parent, name, was_directory, 0).context(|| "replace".into())?;
            }
        }
        match kind {
            Some(kind) => self.make(header, kind, &parent, name)?,
            None if header.kind == b'1' => return self.link(header, &parent, name),
            None => {
                return Err(Failure::invalid(format!("unhandled tar header type {}", header.kind)));
            }
        }
        self.finish(header, kind, &parent, name, path).context(|| "set attributes".into())
    }

    fn make(
        &mut self,
        header: &Header,
        kind: FileType,
        parent: &OwnedFd,
        name: &std::ffi::CStr,
    ) -> Result<()> {
        let mode = Mode::from_raw_mode(header.mode & 0o7777);
        let made = match kind {
            FileType::Directory => match rustix::fs::mkdirat(parent, name, mode) {
                Err(Errno::EXIST) => Ok(()),
                other => other,
            },
            FileType::Symlink => rustix::fs::symlinkat(header.link.as_slice(), parent, name),
            FileType::RegularFile => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))
                    .context(|| "open".into())?;
                return self.copy_data(header.size, file);
            }
            kind => {
                let (major, minor) = header.device;
                rustix::fs::mknodat(parent, name, kind, mode, rustix::fs::makedev(major, minor))
            }
        };
        made.context(|| "create".into())
    }

    fn link(&self, header: &Header, parent: &OwnedFd, name: &std::ffi::CStr) -> Result<()> {
        let target = clean(&header.link).ok_or_else(|| self.breakout(&header.link))?;
        let (directory, file) = split(&target);
        let what = || format!("link to {:?}", lossy(&target));
        let directory = self.open(directory).context(what)?;
        rustix::fs::linkat(&directory, file, parent, name, AtFlags::empty()).context(what)
    }

    fn finish(
        &mut self,
        header: &Header,
        kind: Option<FileType>,
        parent: &OwnedFd,
        name: &std::ffi::CStr,
        path: Vec<u8>,
    ) -> rustix::io::Result<()> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let (uid, gid) =
            self.owner.unwrap_or((Uid::from_raw(header.uid), Gid::from_raw(header.gid)));
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags)?;
        let time = Timespec { tv_sec: header.mtime.0, tv_nsec: header.mtime.1.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        if matches!(kind, Some(FileType::RegularFile | FileType::Directory)) {
            let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(parent, name, open, Mode::empty())?;
            for (name, value) in &header.attributes {
                match rustix::fs::fsetxattr(&file, name.as_slice(), value, XattrFlags::empty()) {
                    Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
                    Err(errno) => return Err(errno),
                }
            }
            rustix::fs::fchmod(&file, Mode::from_raw_mode(header.mode & 0o7777))?;
        } else if kind != Some(FileType::Symlink) {
            let mode = Mode::from_raw_mode(header.mode & 0o7777);
            rustix::fs::chmodat(parent, name, mode, AtFlags::empty())?;
        }
        if kind == Some(FileType::Directory) {
            self.directories.push((path, times));
            return Ok(());
        }
        rustix::fs::utimensat(parent, name, &times, flags)
    }

    fn copy_data(&mut self, size: u64, file: OwnedFd) -> Result<()> {
        let mut file = File::from(file);
        let mut data = (&mut self.input).take(size);
        let copied = std::io::copy(&mut data, &mut file)
            .map_err(|error| Failure::failed(format!("write: {error}")))?;
        match copied == size {
            true => Ok(()),
            false => Err(cut_off()),
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        let mut data = (&mut self.input).take(bytes);
        match std::io::copy(&mut data, &mut std::io::sink()) {
            Ok(skipped) if skipped == bytes => Ok(()),
            _ => Err(cut_off()),
        }
    }

    /// Reads the data of a header that extends the next one.
    fn read_all(&mut self, size: u64) -> Result<Vec<u8>> {
        const LIMIT: u64 = 1 << 20;
        if size > LIMIT {
            return Err(Failure::invalid(format!("malformed archive: header of {size} bytes")));
        }
        let mut bytes = vec![0; size.next_multiple_of(BLOCK as u64) as usize];
        if self.fill(&mut bytes)? < bytes.len() {
            return Err(cut_off());
        }
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    fn read_name(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut name = self.read_all(size)?;
        let end = name.iter().position(|byte| *byte == 0);
        name.truncate(end.unwrap_or(name.len()));
        Ok(name)
    }

    /// Reads until `buffer` is full or the input ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut length = 0;
        while length < buffer.len() {
            match self.input.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::failed(format!("read archive: {error}"))),
            }
        }
        Ok(length)
    }

    /// Opens a directory below the target; links are followed in the container's root.
    fn open(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.target, path, flags, Mode::empty(), resolve)
    }

    fn open_or_make(&self, path: &[u8]) -> Result<OwnedFd> {
        let what = || format!("open directory {:?}", lossy(path));
        match self.open(path) {
            Err(Errno::NOENT) => {}
            other => return other.context(what),
        }
        let (parent, name) = split(path);
        let directory = self.open_or_make(parent)?;
        rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)).context(what)?;
        self.open(path).context(what)
    }

    fn breakout(&self, name: &[u8]) -> Failure {
        Failure::invalid(format!("{:?} is outside of {:?}", lossy(name), self.path))
    }
}

/// Removes what is in the way, a directory with its contents.
fn remove(
    parent: &OwnedFd,
    name: &std::ffi::CStr,
    directory: bool,
    depth: u32,
) -> rustix::io::Result<()> {
    if !directory {
        return rustix::fs::unlinkat(parent, name, AtFlags::empty());
    }
    if depth > 1000 {
        return Err(Errno::NAMETOOLONG);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inside = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    for entry in rustix::fs::Dir::read_from(&inside)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = rustix::fs::statat(&inside, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        remove(&inside, name, is_directory, depth + 1)?;
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Cleans a name as Go's `filepath.Clean` does, relative; `None` if it leads out.
fn clean(name: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn lossy(path: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(path)
}

fn malformed(error: Malformed) -> Failure {
    Failure::invalid(format!("malformed archive: {}", error.0))
}

fn cut_off() -> Failure {
    Failure::invalid("malformed archive: it ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_kept_inside() {
        assert_eq!(clean(b"./a//b/../c/").unwrap(), b"a/c");
        assert_eq!(clean(b"/etc/passwd").unwrap(), b"etc/passwd");
        assert_eq!(clean(b"./").unwrap(), b"");
        assert_eq!(clean(b"a/../.."), None);
        assert_eq!(clean(b"../x"), None);
    }
}
