//! Finding files again.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, Result};

use super::save::stat;
use super::{File, Mark};
use crate::nodes::Node;
use crate::raw;

impl File {
    /// Returns what to call it.
    pub(super) fn name(&self, top: &Path) -> PathBuf {
        match self.path.as_deref() {
            None => top.join("?"),
            Some([]) => top.to_owned(),
            Some(path) => top.join(OsStr::from_bytes(path)),
        }
    }

    /// Whether `node` is the file itself.
    fn is(&self, node: &Node) -> bool {
        let mark = stat(node).map(|stat| Mark::of(node, &stat));
        mark.is_ok_and(|mark| mark == self.mark) && node.kind() == self.kind()
    }

    /// Whether `node` may stand for it: a copy, which has the file's size and time, or a directory
    /// in its place.
    fn may_be(&self, node: &Node) -> bool {
        let is_copy = |stat: rustix::fs::Statx| {
            let changed = (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec);
            (stat.stx_size, changed) == (self.size, self.changed)
        };
        node.kind() == self.kind()
            && match node.kind() {
                FileType::RegularFile => stat(node).is_ok_and(is_copy),
                _ => true,
            }
    }

    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.kind)
    }
}

/// Finds `files` below `root`: each where it was, wherever it is now, or else what stands for it
/// where it was.
pub(super) fn find(root: &Node, files: &[File]) -> Vec<Option<Node>> {
    // Its file system is that of most of what is below it.
    let top = root.open(OFlags::RDONLY | OFlags::NONBLOCK).ok();
    let mut found: Vec<Option<Node>> = Vec::new();
    let mut others = HashMap::new();
    let mut missing: HashMap<u64, Vec<usize>> = HashMap::new();
    for (place, file) in files.iter().enumerate() {
        if file.deleted.is_some() {
            found.push(None);
            continue;
        }
        let there = file.path.as_deref().and_then(|path| beneath(root, path).ok());
        let same = match there {
            Some(node) if file.is(&node) => Some(node),
            other => {
                others.extend(other.map(|node| (place, node)));
                top.as_ref().and_then(|top| by_handle(top, file))
            }
        };
        if same.is_none() {
            missing.entry(file.inode).or_default().push(place);
        }
        found.push(same);
    }
    search(root, files, missing, &mut found);
    for (place, other) in others {
        if found[place].is_none() && files[place].may_be(&other) {
            found[place] = Some(other);
        }
    }
    found
}

/// Opens what is at `path` below `root`; no link leads anywhere.
fn beneath(root: &Node, path: &[u8]) -> Result<Node> {
    if path.is_empty() {
        let same = rustix::io::fcntl_dupfd_cloexec(root.fd(), 0)?;
        return Ok(Node::new(same)?.0);
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(Node::new(openat2(root.fd(), path, flags, Mode::empty(), resolve)?)?.0)
}

/// Finds a file by its handle, which only root may do.
fn by_handle(top: &OwnedFd, file: &File) -> Option<Node> {
    let Mark::Handle(handle) = &file.mark else {
        return None;
    };
    let (node, stat) = Node::new(raw::open_by_handle(top, handle).ok()?).ok()?;
    // What somebody else keeps open is none of the share's any more.
    (stat.stx_nlink > 0 && file.is(&node)).then_some(node)
}

/// Looks for what is `missing`, places by inode number, in all directories.
fn search(
    root: &Node,
    files: &[File],
    mut missing: HashMap<u64, Vec<usize>>,
    found: &mut [Option<Node>],
) {
    let mut directories = VecDeque::from([PathBuf::new()]);
    let mut left = MOST_ENTRIES;
    while !missing.is_empty()
        && let Some(directory) = directories.pop_front()
    {
        let Ok(entries) = entries(root, &directory) else {
            continue;
        };
        for entry in entries.flatten() {
            left -= 1;
            if left == 0 {
                return;
            }
            let path = directory.join(entry.file_name());
            if let Some(places) = missing.get_mut(&entry.ino())
                && let Ok(node) = beneath(root, path.as_os_str().as_bytes())
                && let Some(index) = places.iter().position(|place| files[*place].is(&node))
            {
                found[places.swap_remove(index)] = Some(node);
                missing.retain(|_, places| !places.is_empty());
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push_back(path);
            }
        }
    }
}

fn entries(root: &Node, directory: &Path) -> std::io::Result<std::fs::ReadDir> {
    let node = beneath(root, directory.as_os_str().as_bytes())?;
    if node.kind() != FileType::Directory {
        return Err(Errno::NOTDIR.into());
    }
    std::fs::read_dir(node.path())
}

/// Names that are looked at for what was renamed; a start does not wait longer.
const MOST_ENTRIES: usize = 200_000;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn node(path: &Path) -> Node {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Node::new(rustix::fs::open(path, flags, Mode::empty()).unwrap()).unwrap().0
    }

    fn saved(top: &Path, name: &str) -> File {
        let node = node(&top.join(name));
        let stat = stat(&node).unwrap();
        File {
            path: Some(name.into()),
            kind: node.kind().as_raw_mode(),
            inode: stat.stx_ino,
            mark: Mark::of(&node, &stat),
            size: stat.stx_size,
            changed: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            deleted: None,
        }
    }

    /// Copies a file with its times, and removes it.
    fn replace_by_copy(from: &Path, to: &Path) {
        let times = fs::metadata(from).unwrap().modified().unwrap();
        fs::copy(from, to).unwrap();
        fs::File::options().write(true).open(to).unwrap().set_modified(times).unwrap();
        fs::remove_file(from).unwrap();
    }

    #[test]
    fn files_are_found_where_they_are_now_or_what_stands_for_them() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, outside) = (dir.path(), outside.path());
        let names = ["stays", "moves", "copied", "other", "below/file", "below"];
        fs::create_dir(dir.join("below")).unwrap();
        for name in &names[..5] {
            fs::write(dir.join(name), *name).unwrap();
        }
        let files = names.map(|name| saved(dir, name));
        fs::create_dir_all(dir.join("new/deep")).unwrap();
        fs::rename(dir.join("moves"), dir.join("new/deep/moved")).unwrap();
        replace_by_copy(&dir.join("copied"), &dir.join("copy"));
        fs::rename(dir.join("copy"), dir.join("copied")).unwrap();
        fs::rename(dir.join("other"), outside.join("other")).unwrap();
        fs::remove_file(outside.join("other")).unwrap();
        fs::write(dir.join("other"), "OTHER").unwrap();
        // Links lead nowhere, whatever is there.
        replace_by_copy(&dir.join("below/file"), &outside.join("file"));
        fs::remove_dir(dir.join("below")).unwrap();
        symlink(outside, dir.join("below")).unwrap();

        let found = find(&node(dir), &files);
        let found: Vec<_> = found.iter().map(|node| node.as_ref().map(Node::identity)).collect();
        let identity = |name: &str| Some(node(&dir.join(name)).identity());
        let wanted = [identity("stays"), identity("new/deep/moved"), identity("copied")];
        assert_eq!(found[..3], wanted);
        assert_eq!(found[3..], [None; 3]);

        // Any user finds them without handles.
        let mut found: Vec<_> = files.iter().map(|_| None).collect();
        let missing = HashMap::from([(files[1].inode, vec![1]), (files[4].inode, vec![4])]);
        search(&node(dir), &files, missing, &mut found);
        assert_eq!(found[1].as_ref().map(Node::identity), identity("new/deep/moved"));
        assert!(found[4].is_none());
    }
}
