//! Paths inside a container's root, which may be hostile: no symbolic link leads out of it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::{Errno, Result};

/// Opens `path` in `root` as a handle (`O_PATH`), every symbolic link resolved inside.
pub(crate) fn resolve(root: impl AsFd, path: &str) -> Result<OwnedFd> {
    open(root, path, OFlags::PATH)
}

/// As [`resolve`], but a symbolic link at the end is itself the result.
pub(crate) fn resolve_no_follow(root: impl AsFd, path: &str) -> Result<OwnedFd> {
    open(root, path, OFlags::PATH | OFlags::NOFOLLOW)
}

/// Reads a regular file of at most `limit` bytes; `None` if there is no such.
pub(crate) fn read_file(root: impl AsFd, path: &str, limit: u64) -> Option<Vec<u8>> {
    let is_regular = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let file = open_if(root, path, OFlags::RDONLY, is_regular).ok()??;
    let mut bytes = Vec::new();
    let mut file = std::io::Read::take(std::fs::File::from(file), limit);
    std::io::Read::read_to_end(&mut file, &mut bytes).ok()?;
    Some(bytes)
}

/// Opens `path` in `root` if it is what `is_wanted` says: opening a FIFO could block, opening a
/// device could do anything. `None` if it is something else.
pub(crate) fn open_if(
    root: impl AsFd,
    path: &str,
    flags: OFlags,
    is_wanted: impl Fn(&Stat) -> bool,
) -> Result<Option<OwnedFd>> {
    let root = root.as_fd();
    let stat = rustix::fs::fstat(resolve(root, path)?)?;
    if !is_wanted(&stat) {
        return Ok(None);
    }
    // What a process of the container has put there since, it could have opened itself.
    let file = open(root, path, flags | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let opened = rustix::fs::fstat(&file)?;
    let is_same = (opened.st_dev, opened.st_ino) == (stat.st_dev, stat.st_ino);
    Ok((is_same && is_wanted(&opened)).then_some(file))
}

/// Opens `path` in `root` as a handle; what is missing is made: directories with mode 0755, and at
/// the end an empty file if `file`.
pub(crate) fn resolve_or_create(root: impl AsFd, path: &str, file: bool) -> Result<OwnedFd> {
    let root = root.as_fd();
    match resolve(root, path) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let mut path = path.to_owned();
    // Dangling links are followed by making what they point to.
    'links: for _ in 0..40 {
        let mut parent = resolve(root, "/")?;
        let mut prefix = String::new();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            prefix.push('/');
            prefix.push_str(part);
            let last = index + 1 == parts.len();
            match resolve(root, &prefix) {
                Ok(found) => {
                    parent = found;
                    continue;
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            if let Ok(target) = rustix::fs::readlinkat(&parent, *part, Vec::new()) {
                let target = target.to_str().map_err(|_| Errno::INVAL)?;
                let base = match target.starts_with('/') {
                    true => "",
                    false => prefix.rsplit_once('/').map_or("", |(base, _)| base),
                };
                path = [&[base, target], &parts[index + 1..]].concat().join("/");
                continue 'links;
            }
            let made = if last && file {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                rustix::fs::openat(&parent, *part, flags, Mode::from_raw_mode(0o755)).map(drop)
            } else {
                rustix::fs::mkdirat(&parent, *part, Mode::from_raw_mode(0o755))
            };
            match made {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            parent = resolve(root, &prefix)?;
        }
        return Ok(parent);
    }
    Err(Errno::LOOP)
}

/// Returns the path of a descriptor for system calls that take none; for the agent's own /proc.
pub(crate) fn descriptor_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Returns whether `fd` is a directory.
pub(crate) fn is_directory(fd: impl AsFd) -> Result<bool> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn open(root: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: a rename or mount somewhere raced with `..` in the path.
    for _ in 0..64 {
        let flags = flags | OFlags::CLOEXEC;
        match rustix::fs::openat2(root.as_fd(), path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn hostile_root() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("real")).unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        fs::write(root.join("secret"), "inside").unwrap();
        symlink("../../../..", root.join("up")).unwrap();
        symlink("/", root.join("etc")).unwrap();
        symlink("../secret", root.join("link")).unwrap();
        symlink("/real/new/deep", root.join("dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("/proc/self/root", root.join("magic")).unwrap();
        let fd = rustix::fs::open(&root, OFlags::PATH, Mode::empty()).unwrap();
        (dir, fd)
    }

    #[test]
    fn links_do_not_lead_out() {
        let (_dir, root) = hostile_root();
        for path in ["secret", "/secret", "up/secret", "etc/secret", "link", "etc/etc/up/link"] {
            let content = read_file(&root, path, 100);
            assert_eq!(content.as_deref(), Some(&b"inside"[..]), "{path}");
        }
        assert_eq!(resolve(&root, "loop").unwrap_err(), Errno::LOOP);
        assert_eq!(resolve(&root, "magic").unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn missing_paths_are_made_inside() {
        let (dir, root) = hostile_root();
        let handle = resolve_or_create(&root, "up/a/b", false).unwrap();
        assert!(is_directory(&handle).unwrap());
        assert!(dir.path().join("root/a/b").is_dir());
        resolve_or_create(&root, "/dangling/x/file", true).unwrap();
        assert!(dir.path().join("root/real/new/deep/x/file").is_file());
        resolve_or_create(&root, "etc/hosts", true).unwrap();
        assert!(dir.path().join("root/hosts").is_file());
        assert_eq!(resolve_or_create(&root, "secret/below", false).unwrap_err(), Errno::NOTDIR);
        assert_eq!(resolve_or_create(&root, "loop/x", false).unwrap_err(), Errno::LOOP);
    }

    #[test]
    fn a_fifo_is_no_file() {
        let (dir, root) = hostile_root();
        let fifo = dir.path().join("root/fifo");
        rustix::fs::mknodat(rustix::fs::CWD, fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .unwrap();
        assert_eq!(read_file(&root, "fifo", 100), None);
    }
}
