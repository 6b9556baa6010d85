//! Copying a tree with everything that belongs to it: owners, modes, times, extended attributes,
//! hard links, devices.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::{Errno, Result};

use crate::container::paths::descriptor_path;

/// Copies what the directory `from` contains into the directory `to`, and the attributes of `from`
/// itself.
pub(crate) fn copy_contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let from = reopen(from)?;
    let to = reopen(to)?;
    let mut links = BTreeMap::new();
    copy_directory(&from, &to, to.as_fd(), &mut links, "", 0)?;
    set_attributes(&from, &to)
}

/// Where the first name of a file with several was put, relative to the copy's root.
type Links = BTreeMap<(u64, u64), String>;

fn copy_directory(
    from: &OwnedFd,
    to: &OwnedFd,
    top: BorrowedFd<'_>,
    links: &mut Links,
    prefix: &str,
    depth: u32,
) -> Result<()> {
    if depth > 1000 {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let path = format!("{prefix}/{}", name.to_string_lossy());
        if kind != FileType::Directory && stat.st_nlink > 1 && name.to_str().is_ok() {
            if let Some(first) = links.get(&(stat.st_dev, stat.st_ino)) {
                let first = first.trim_start_matches('/');
                rustix::fs::linkat(top, first, to, name, AtFlags::empty())?;
                continue;
            }
            links.insert((stat.st_dev, stat.st_ino), path.clone());
        }
        copy_entry(from, to, name, &stat, kind)?;
        if kind == FileType::Directory {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = rustix::fs::openat(from, name, flags, Mode::empty())?;
            let copy = rustix::fs::openat(to, name, flags, Mode::empty())?;
            copy_directory(&source, &copy, top, links, &path, depth + 1)?;
            set_attributes(&source, &copy)?;
        }
    }
    Ok(())
}

fn copy_entry(
    from: &OwnedFd,
    to: &OwnedFd,
    name: &CStr,
    stat: &Stat,
    kind: FileType,
) -> Result<()> {
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    match kind {
        FileType::Directory => match rustix::fs::mkdirat(to, name, mode) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno),
        },
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = rustix::fs::openat(from, name, flags, Mode::empty())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let copy = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
            copy_data(&source, &copy, stat.st_size as u64)?;
            set_attributes(&source, &copy)
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target.as_c_str(), to, name)?;
            finish_node(to, name, stat)
        }
        kind => {
            rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev)?;
            rustix::fs::chmodat(to, name, mode, AtFlags::empty())?;
            finish_node(to, name, stat)
        }
    }
}

fn copy_data(from: &OwnedFd, to: &OwnedFd, size: u64) -> Result<()> {
    let mut left = size;
    while left > 0 {
        let chunk = left.min(1 << 30) as usize;
        match rustix::fs::sendfile(to, from, None, chunk)? {
            0 => break,
            copied => left = left.saturating_sub(copied as u64),
        }
    }
    Ok(())
}

/// Owner and times of what cannot be opened.
fn finish_node(to: &OwnedFd, name: &CStr, stat: &Stat) -> Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let (uid, gid) = owner(stat);
    rustix::fs::chownat(to, name, Some(uid), Some(gid), flags)?;
    rustix::fs::utimensat(to, name, &times(stat), flags)
}

fn set_attributes(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    let stat = rustix::fs::fstat(from)?;
    let (uid, gid) = owner(&stat);
    rustix::fs::fchown(to, Some(uid), Some(gid))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    for (name, value) in attributes(from)? {
        match rustix::fs::fsetxattr(to, name.as_slice(), &value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(errno) => return Err(errno),
        }
    }
    rustix::fs::futimens(to, &times(&stat))
}

/// Returns the extended attributes of `fd`, without overlayfs's own.
pub(crate) fn attributes(fd: &OwnedFd) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::flistxattr(fd, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    let mut out = Vec::new();
    for name in names[..length].split(|byte| *byte == 0) {
        if name.is_empty() || name.starts_with(b"trusted.overlay.") {
            continue;
        }
        let mut value = vec![0; 64 << 10];
        match rustix::fs::fgetxattr(fd, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                out.push((name.to_vec(), value));
            }
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(out)
}

fn owner(stat: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))
}

/// Returns the times of a file, to be set on another.
pub(crate) fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime as _, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec {
            tv_sec: stat.st_mtime as _,
            tv_nsec: stat.st_mtime_nsec as _,
        },
    }
}

/// Opens a directory handle for reading.
fn reopen(handle: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(descriptor_path(handle), flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_copy_has_modes_links_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("sub/deep")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("sub/file"), "content").unwrap();
        fs::set_permissions(from.join("sub/file"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::hard_link(from.join("sub/file"), from.join("sub/deep/again")).unwrap();
        symlink("/nowhere", from.join("link")).unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o1770)).unwrap();
        let open =
            |path: &std::path::Path| rustix::fs::open(path, OFlags::PATH, Mode::empty()).unwrap();

        copy_contents(open(&from).as_fd(), open(&to).as_fd()).unwrap();

        let stat = |path: &str| fs::symlink_metadata(to.join(path)).unwrap();
        assert_eq!(fs::read(to.join("sub/deep/again")).unwrap(), b"content");
        assert_eq!(stat("sub/file").ino(), stat("sub/deep/again").ino());
        assert_eq!(stat("sub/file").mode() & 0o7777, 0o4751);
        assert_eq!(stat("").mode() & 0o7777, 0o1770);
        assert_eq!(fs::read_link(to.join("link")).unwrap().to_str(), Some("/nowhere"));
        let original = fs::metadata(from.join("sub/file")).unwrap();
        assert_eq!(stat("sub/file").mtime_nsec(), original.mtime_nsec());
    }
}
