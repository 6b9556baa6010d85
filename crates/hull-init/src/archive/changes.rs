//! What a container's writable layer changes in its image, as overlayfs keeps it in the layer's
//! directory: files that are there are new or changed, devices 0:0 are whiteouts, and a directory
//! marked opaque hides all that the image has in its place.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, Result};

/// One path that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    /// Without a slash in front.
    pub(crate) path: Vec<u8>,
}

/// How a path differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Added,
    Changed,
    Deleted,
}

impl Kind {
    /// The letter that `docker diff` shows.
    pub(crate) fn letter(self) -> u8 {
        match self {
            Self::Added => b'A',
            Self::Changed => b'C',
            Self::Deleted => b'D',
        }
    }
}

/// What counts as a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Detail {
    /// What `docker diff` shows: files with another content, owner or mode, and not the times of
    /// directories.
    Shown,
    /// All that the layer has of its own.
    All,
}

/// Compares the directory of a layer with the image below it. Directories come before what is in
/// them; those with a change below count as changed, as Docker counts them.
pub(crate) fn changes(upper: &OwnedFd, lower: &OwnedFd, detail: Detail) -> Result<Vec<Change>> {
    let mut walk = Walk { changes: Vec::new(), detail };
    let (upper, lower) = (open(upper, c".")?, open(lower, c".")?);
    walk.directory(&upper, Some(&lower), b"", 0)?;
    Ok(walk.changes)
}

/// Returns the bytes of all files and symbolic links in a layer's directory, each inode once.
pub(crate) fn size(upper: &OwnedFd) -> Result<u64> {
    let mut seen = BTreeSet::new();
    size_below(&open(upper, c".")?, b"", &mut seen, 0)
}

fn size_below(
    directory: &OwnedFd,
    prefix: &[u8],
    seen: &mut BTreeSet<u64>,
    depth: u32,
) -> Result<u64> {
    if depth > DEEPEST {
        return Err(Errno::NAMETOOLONG);
    }
    let mut sum = 0_u64;
    for name in names(directory)? {
        let Some(found) = stat(directory, &name)? else {
            continue;
        };
        let path = [prefix, name.to_bytes()].concat();
        let size = if is_directory(&found) {
            match open(directory, &name) {
                Ok(inside) => {
                    size_below(&inside, &[path.as_slice(), b"/"].concat(), seen, depth + 1)?
                }
                // Removed or replaced while the layer was read.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => 0,
                Err(errno) => return Err(errno),
            }
        } else if is_skeleton(directory, &path, &found) || !seen.insert(found.st_ino) {
            0
        } else {
            found.st_size.unsigned_abs()
        };
        sum = sum.saturating_add(size);
    }
    Ok(sum)
}

/// So deep may a tree be: every level has a descriptor.
const DEEPEST: u32 = 1000;

struct Walk {
    changes: Vec<Change>,
    detail: Detail,
}

impl Walk {
    /// Walks through a directory of the layer; `lower` is the image's in its place, if it has one.
    fn directory(
        &mut self,
        upper: &OwnedFd,
        lower: Option<&OwnedFd>,
        prefix: &[u8],
        depth: u32,
    ) -> Result<()> {
        if depth > DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        let mut names = names(upper)?;
        if let Some(lower) = lower.filter(|_| is_opaque(upper)) {
            names.extend(self::names(lower)?);
        }
        for name in names {
            let path = [prefix, name.to_bytes()].concat();
            let below = match lower {
                Some(lower) => stat(lower, &name)?,
                None => None,
            };
            match (stat(upper, &name)?, below) {
                // Removed while the layer was read, or hidden by an opaque directory.
                (None, None) => {}
                (None, Some(_)) => self.push(Kind::Deleted, path),
                (Some(above), below) if is_whiteout(&above) => {
                    if below.is_some() {
                        self.push(Kind::Deleted, path);
                    }
                }
                (Some(above), None) if is_skeleton(upper, &path, &above) => {}
                (Some(above), below) if is_directory(&above) => {
                    let kind = if below.is_some() { Kind::Changed } else { Kind::Added };
                    self.push(kind, path);
                    self.enter((upper, above), (lower, below), &name, depth)?;
                }
                (Some(above), Some(below)) => {
                    if self.detail == Detail::All || !is_same_file(&above, &below) {
                        self.push(Kind::Changed, path);
                    }
                }
                (Some(_), None) => self.push(Kind::Added, path),
            }
        }
        Ok(())
    }

    /// Walks into a directory that was just noted, and forgets it if it is as it was.
    fn enter(
        &mut self,
        (upper, above): (&OwnedFd, Stat),
        (lower, below): (Option<&OwnedFd>, Option<Stat>),
        name: &CStr,
        depth: u32,
    ) -> Result<()> {
        let place = self.changes.len();
        let prefix = [self.changes[place - 1].path.as_slice(), b"/"].concat();
        let below = below.filter(is_directory);
        let lower = match (lower, below) {
            (Some(lower), Some(_)) => Some(open(lower, name)?),
            _ => None,
        };
        match open(upper, name) {
            Ok(inside) => self.directory(&inside, lower.as_ref(), &prefix, depth + 1)?,
            // Removed or replaced while the layer was read.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(errno),
        }
        let is_same = below.is_some_and(|below| {
            is_like(&above, &below)
                && (self.detail == Detail::Shown || times(&above) == times(&below))
        });
        if self.changes.len() == place && is_same {
            self.changes.pop();
        }
        Ok(())
    }

    fn push(&mut self, kind: Kind, path: Vec<u8>) {
        self.changes.push(Change { kind, path });
    }
}

/// Whether an entry is what Docker has in a layer of its own between image and container; see
/// [`crate::container`]'s skeleton.
fn is_skeleton(parent: &OwnedFd, path: &[u8], stat: &Stat) -> bool {
    match path {
        b".dockerenv" => stat.st_size == 0,
        b"etc/mtab" => rustix::fs::readlinkat(parent, c"mtab", Vec::new())
            .is_ok_and(|target| target.as_bytes() == b"/proc/mounts"),
        _ => false,
    }
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is_opaque(directory: &OwnedFd) -> bool {
    let mut value = [0; 1];
    let read = rustix::fs::fgetxattr(directory, c"trusted.overlay.opaque", &mut value[..]);
    read == Ok(1) && value == *b"y"
}

/// Whether kind, mode, owner and device are the same.
fn is_like(above: &Stat, below: &Stat) -> bool {
    let known = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    known(above) == known(below)
}

/// Whether a file that was copied up is still as it was, as far as Docker looks.
fn is_same_file(above: &Stat, below: &Stat) -> bool {
    is_like(above, below) && above.st_size == below.st_size && times(above) == times(below)
}

fn times(stat: &Stat) -> (i64, u64) {
    (stat.st_mtime, stat.st_mtime_nsec as _)
}

fn names(directory: &OwnedFd) -> Result<BTreeSet<CString>> {
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.insert(name);
        }
    }
    Ok(names)
}

fn stat(directory: &OwnedFd, name: &CStr) -> Result<Option<Stat>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn open(directory: &OwnedFd, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rustix::fs::{CWD, XattrFlags};

    use super::*;

    fn whiteout(path: &Path) -> bool {
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, mode, 0).is_ok()
    }

    fn text(changes: &[Change]) -> String {
        let line = |change: &Change| {
            format!("{}{}\n", change.kind.letter() as char, String::from_utf8_lossy(&change.path))
        };
        changes.iter().map(line).collect()
    }

    #[test]
    fn a_layer_has_a_size() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/deep")).unwrap();
        fs::write(dir.path().join("etc/deep/file"), [1; 70]).unwrap();
        fs::hard_link(dir.path().join("etc/deep/file"), dir.path().join("again")).unwrap();
        fs::write(dir.path().join(".dockerenv"), "").unwrap();
        for (target, link) in [("/proc/mounts", "etc/mtab"), ("/proc/mounts", "link")] {
            std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
        }
        let upper = rustix::fs::open(dir.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        assert_eq!(size(&upper).unwrap(), 70 + 12);
    }

    #[test]
    fn a_layer_is_compared_with_its_image() {
        let dir = tempfile::tempdir().unwrap();
        let (upper, lower) = (dir.path().join("upper"), dir.path().join("lower"));
        for path in ["etc", "opt/kept", "opt/gone", "same", "usr"] {
            fs::create_dir_all(lower.join(path)).unwrap();
        }
        for path in ["etc/passwd", "opt/kept/a", "usr/old", "file"] {
            fs::write(lower.join(path), "x").unwrap();
        }
        for path in ["etc", "opt", "same", "new/deep", "usr"] {
            fs::create_dir_all(upper.join(path)).unwrap();
        }
        for path in ["etc/passwd", "etc/new", "new/deep/file", ".dockerenv"] {
            fs::write(upper.join(path), "").unwrap();
        }
        std::os::unix::fs::symlink("/proc/mounts", upper.join("etc/mtab")).unwrap();
        let open = |path: &Path| rustix::fs::open(path, OFlags::DIRECTORY, Mode::empty()).unwrap();
        let (above, below) = (open(&upper), open(&lower));
        let opaque = rustix::fs::setxattr(
            upper.join("usr"),
            "trusted.overlay.opaque",
            b"y",
            XattrFlags::empty(),
        );
        if opaque.is_err() || !whiteout(&upper.join("opt/gone")) || !whiteout(&upper.join("never"))
        {
            // Devices and trusted attributes are root's.
            return;
        }
        for path in ["same", "usr", "opt"] {
            let times = fs::metadata(lower.join(path)).unwrap().modified().unwrap();
            fs::File::open(upper.join(path)).unwrap().set_modified(times).unwrap();
        }
        let expected = "Cetc\nAetc/new\nCetc/passwd\nAnew\nAnew/deep\nAnew/deep/file\nCopt\n\
                        Dopt/gone\nCusr\nDusr/old\n";
        let shown = changes(&above, &below, Detail::Shown).unwrap();
        assert_eq!(text(&shown), expected);
        // A file that was copied up and a directory with another time are the layer's.
        fs::copy(lower.join("file"), upper.join("file")).unwrap();
        let modified = fs::metadata(lower.join("file")).unwrap().modified().unwrap();
        fs::File::open(upper.join("file")).unwrap().set_modified(modified).unwrap();
        let later = modified + std::time::Duration::from_secs(10);
        fs::File::open(upper.join("same")).unwrap().set_modified(later).unwrap();
        assert_eq!(changes(&above, &below, Detail::Shown).unwrap(), shown);
        let all = text(&changes(&above, &below, Detail::All).unwrap());
        assert!(all.contains("Cfile\n") && all.contains("Csame\n"), "{all}");
    }
}
