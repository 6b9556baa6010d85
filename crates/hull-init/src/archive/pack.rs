//! Writing trees as tar archives: what `docker cp`, `export` and `commit` take out of a container.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::changes::{Change, Detail, Kind, changes, size};
use super::header::{BLOCK, Header};
use super::tree::attributes;
use crate::failure::{Context, Result};
use crate::tasks::{open_inside, path_failure};

/// Writes what `path` of the current root names to `out`, the last component not followed (unless
/// a slash or `/.` comes after it). Names in the archive start with that component.
pub(crate) fn pack(path: &str, out: &OwnedFd) -> Result<()> {
    let trimmed = path.trim_end_matches('/');
    let (parent, name) = trimmed.rsplit_once('/').unwrap_or(("", ""));
    let mut packer = Packer::new(out);
    let follows = trimmed.len() < path.len() || matches!(name, "" | "." | "..");
    let result = if follows {
        let directory = open_inside(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let stat = rustix::fs::fstat(&directory).map_err(|errno| path_failure(path, errno))?;
        // Docker calls the root itself "/".
        let base = match name {
            "" => b"/".to_vec(),
            name => name.as_bytes().to_vec(),
        };
        packer.directory(&directory, &stat, base, 0)
    } else {
        let directory = open_inside(&format!("{parent}/"), OFlags::PATH | OFlags::DIRECTORY)?;
        let file = CString::new(name).map_err(|_| path_failure(path, Errno::INVAL))?;
        // What is not there must be an error of its own, not an empty archive.
        rustix::fs::statat(&directory, &file, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| path_failure(path, errno))?;
        packer.entry(&directory, &file, name.as_bytes().to_vec(), 0)
    };
    result.context(|| format!("copy {path}"))?;
    packer.write(&[0; 2 * BLOCK]).context(|| format!("copy {path}"))
}

/// Writes all that is in the directory `root` to `out`.
pub(crate) fn pack_root(root: &OwnedFd, out: &OwnedFd) -> Result<()> {
    let mut packer = Packer::new(out);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(root, ".", flags, Mode::empty())
        .and_then(|directory| {
            packer.contents(&directory, b"", 0)?;
            packer.mount_points(&directory)
        })
        .and_then(|()| packer.write(&[0; 2 * BLOCK]))
        .context(|| "read the root file system".into())
}

/// Writes what the directory `upper` of a layer changes in `lower` as a layer of an image: a tar
/// archive with whiteouts (OCI image specification, `layer.md`).
pub(crate) fn pack_layer(upper: &OwnedFd, lower: &OwnedFd, out: &OwnedFd) -> Result<()> {
    let mut packer = Packer::new(out);
    changes(upper, lower, Detail::All)
        .and_then(|changes| changes.iter().try_for_each(|change| packer.change(upper, change)))
        .and_then(|()| packer.write(&[0; 2 * BLOCK]))
        .context(|| "read the layer".into())
}

/// Writes what the directory `upper` of a layer changes in `lower`; see
/// [`hull_protocol::Part::Changes`].
pub(crate) fn list_changes(upper: &OwnedFd, lower: &OwnedFd, out: &OwnedFd) -> Result<()> {
    let packer = Packer::new(out);
    let mut text = Vec::new();
    changes(upper, lower, Detail::Shown)
        .and_then(|changes| {
            for Change { kind, path } in changes {
                text.extend_from_slice(&[kind.letter(), b'/']);
                text.extend_from_slice(&path);
                text.push(0);
            }
            packer.write(&text)
        })
        .context(|| "read the layer".into())
}

/// Writes how many bytes the files of a layer have; see [`hull_protocol::Part::Size`].
pub(crate) fn write_size(upper: &OwnedFd, out: &OwnedFd) -> Result<()> {
    let packer = Packer::new(out);
    size(upper)
        .and_then(|size| packer.write(size.to_string().as_bytes()))
        .context(|| "read the layer".into())
}

struct Packer<'a> {
    out: &'a OwnedFd,
    /// First path in the archive of files with several names.
    links: BTreeMap<(u64, u64), Vec<u8>>,
    /// Device number of the directory that was asked for.
    asked_for: Option<u64>,
}

impl<'a> Packer<'a> {
    fn new(out: &'a OwnedFd) -> Self {
        Self { out, links: BTreeMap::new(), asked_for: None }
    }

    fn entry(
        &mut self,
        parent: &OwnedFd,
        name: &CStr,
        path: Vec<u8>,
        depth: u32,
    ) -> rustix::io::Result<()> {
        let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Removed while the tree was read.
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        let open = || rustix::fs::openat(parent, name, flags | OFlags::NONBLOCK, Mode::empty());
        if kind == FileType::Directory {
            return match open() {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                directory => self.directory(&directory?, &stat, path, depth),
            };
        }
        let mut header = header(&stat, path);
        if stat.st_nlink > 1 {
            let inode = (stat.st_dev, stat.st_ino as u64);
            if let Some(first) = self.links.get(&inode) {
                header.kind = b'1';
                header.link.clone_from(first);
                return self.write(&header.encode());
            }
            self.links.insert(inode, header.path.clone());
        }
        match kind {
            FileType::RegularFile => {
                let file = match open() {
                    Err(Errno::NOENT | Errno::LOOP) => return Ok(()),
                    other => other?,
                };
                let now = rustix::fs::fstat(&file)?;
                if FileType::from_raw_mode(now.st_mode) != FileType::RegularFile {
                    return Ok(());
                }
                header.kind = b'0';
                header.size = now.st_size as u64;
                header.attributes = attributes(&file)?;
                self.write(&header.encode())?;
                return self.data(&file, header.size);
            }
            FileType::Symlink => {
                header.kind = b'2';
                header.link = rustix::fs::readlinkat(parent, name, Vec::new())?.into_bytes();
            }
            FileType::CharacterDevice => header.kind = b'3',
            FileType::BlockDevice => header.kind = b'4',
            FileType::Fifo => header.kind = b'6',
            // A socket has no place in an archive.
            _ => return Ok(()),
        }
        self.write(&header.encode())
    }

    fn directory(
        &mut self,
        directory: &OwnedFd,
        stat: &Stat,
        path: Vec<u8>,
        depth: u32,
    ) -> rustix::io::Result<()> {
        if depth > 1000 {
            return Err(Errno::NAMETOOLONG);
        }
        let prefix = self.directory_alone(directory, stat, path)?;
        let asked_for = *self.asked_for.get_or_insert(stat.st_dev);
        match is_passing(directory, stat.st_dev == asked_for)? {
            true => Ok(()),
            false => self.contents(directory, &prefix, depth),
        }
    }

    /// Writes what Docker has in /dev of every container's root file system, which is under a mount
    /// for as long as it runs, unless there is something.
    fn mount_points(&self, root: &OwnedFd) -> rustix::io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dev = match rustix::fs::openat(root, "dev", flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            other => other?,
        };
        let stat = rustix::fs::fstat(&dev)?;
        for (name, kind) in [("console", b'0'), ("pts/", b'5'), ("shm/", b'5')] {
            let there = rustix::fs::statat(&dev, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
            if !there {
                let path = [b"dev/", name.as_bytes()].concat();
                let header = Header { kind, mode: 0o755, ..header(&stat, path) };
                self.write(&Header { uid: 0, gid: 0, ..header }.encode())?;
            }
        }
        Ok(())
    }

    /// Writes the entry of a directory and returns what the names in it begin with.
    fn directory_alone(
        &self,
        directory: &OwnedFd,
        stat: &Stat,
        path: Vec<u8>,
    ) -> rustix::io::Result<Vec<u8>> {
        let mut prefix = path;
        if !prefix.ends_with(b"/") {
            prefix.push(b'/');
        }
        let mut header = header(stat, prefix.clone());
        header.kind = b'5';
        header.attributes = attributes(directory)?;
        self.write(&header.encode())?;
        Ok(prefix)
    }

    fn contents(
        &mut self,
        directory: &OwnedFd,
        prefix: &[u8],
        depth: u32,
    ) -> rustix::io::Result<()> {
        let mut names = Vec::new();
        for entry in Dir::read_from(directory)? {
            let name = entry?.file_name().to_owned();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort_unstable();
        for name in names {
            let path = [prefix, name.to_bytes()].concat();
            self.entry(directory, &name, path, depth + 1)?;
        }
        Ok(())
    }

    /// Writes one change of the layer in `upper`, without what is in it if it is a directory.
    fn change(&mut self, upper: &OwnedFd, change: &Change) -> rustix::io::Result<()> {
        let at = change.path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let (parent, name) = change.path.split_at(at);
        if change.kind == Kind::Deleted {
            let path = [parent, b".wh.", name].concat();
            return self.write(&Header { path, kind: b'0', ..Header::default() }.encode());
        }
        let parent = if parent.is_empty() { b"." } else { parent };
        let open = |path: &[u8]| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            rustix::fs::openat2(upper, path, flags, Mode::empty(), resolve)
        };
        // What has been removed or replaced since is left out.
        let gone = |errno: &Errno| matches!(*errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP);
        match open(&change.path) {
            Ok(directory) => {
                let stat = rustix::fs::fstat(&directory)?;
                self.directory_alone(&directory, &stat, change.path.clone()).map(drop)
            }
            Err(errno) if gone(&errno) => {
                let parent = match open(parent) {
                    Err(errno) if gone(&errno) => return Ok(()),
                    parent => parent?,
                };
                let name = CString::new(name).map_err(|_| Errno::INVAL)?;
                self.entry(&parent, &name, change.path.clone(), 0)
            }
            Err(errno) => Err(errno),
        }
    }

    /// Writes `size` bytes of `file`, whatever its size is by now.
    fn data(&self, file: &OwnedFd, size: u64) -> rustix::io::Result<()> {
        let mut left = size;
        while left > 0 {
            let chunk = left.min(1 << 20) as usize;
            match rustix::fs::sendfile(self.out, file, None, chunk) {
                Ok(0) => break,
                Ok(sent) => left -= sent as u64,
                Err(Errno::INTR) => {}
                // Files of /proc and /sys cannot be spliced.
                Err(Errno::INVAL) if left == size => return self.read_data(file, size),
                Err(errno) => return Err(errno),
            }
        }
        self.pad(left, size)
    }

    fn read_data(&self, file: &OwnedFd, size: u64) -> rustix::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let mut left = size;
        while left > 0 {
            let chunk = left.min(buffer.len() as u64) as usize;
            match rustix::io::read(file, &mut buffer[..chunk])? {
                0 => break,
                length => {
                    self.write(&buffer[..length])?;
                    left -= length as u64;
                }
            }
        }
        self.pad(left, size)
    }

    /// Fills up `missing` bytes of the data and its last block.
    fn pad(&self, missing: u64, size: u64) -> rustix::io::Result<()> {
        let zeros = [0; 4096];
        let mut left = missing + size.next_multiple_of(BLOCK as u64) - size;
        while left > 0 {
            let chunk = left.min(zeros.len() as u64);
            self.write(&zeros[..chunk as usize])?;
            left -= chunk;
        }
        Ok(())
    }

    fn write(&self, mut bytes: &[u8]) -> rustix::io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(self.out, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// Whether what a directory holds is no file of the container: what the kernel makes up, and memory
/// (unless just that was `asked_for`). Docker does not see these either.
fn is_passing(directory: &OwnedFd, asked_for: bool) -> rustix::io::Result<bool> {
    const TMPFS: u64 = 0x0102_1994;
    // statfs(2): proc, sysfs, debugfs, securityfs, devpts, mqueue, cgroup2, tracefs.
    const MADE_UP: [u64; 8] = [
        0x9fa0,
        0x6265_6572,
        0x6462_6720,
        0x7363_6673,
        0x1cd1,
        0x1980_0202,
        0x6367_7270,
        0x7472_6163,
    ];
    let kind = rustix::fs::fstatfs(directory)?.f_type as u64;
    Ok(MADE_UP.contains(&kind) || kind == TMPFS && !asked_for)
}

fn header(stat: &Stat, path: Vec<u8>) -> Header {
    Header {
        path,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
        device: (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)),
        ..Header::default()
    }
}
