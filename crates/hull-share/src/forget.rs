//! Has guests forget, or doubt, what they believe to know.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::nodes::Node;
use crate::server::Server;
use crate::session::Session;
use crate::wire::{ROOT, notification, notify};

/// Names, each after the number of its directory.
pub(crate) type Names = Vec<(u64, Vec<u8>)>;

/// Has a guest forget all files, and the names that everything else is below.
pub(crate) fn forget_all(server: &Server, number: u32, session: &Session) {
    for node in session.nodes.numbers() {
        server.send(&forget_file(number, node));
    }
    let Ok(root) = session.nodes.find(ROOT) else {
        return;
    };
    for entry in std::fs::read_dir(root.path()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        server.send(&forget_entry(number, ROOT, name.as_encoded_bytes()));
    }
}

/// Has a guest forget all files, and ask about `names`, which are all that it knows, and about what
/// is in directories now before it believes that again. What [`forget_all`] takes away from the guest
/// until it is looked up again stays: the directory that a program is in.
pub(crate) fn doubt_all(server: &Server, number: u32, session: &Session, names: &Names) {
    for node in session.nodes.numbers() {
        server.send(&forget_file(number, node));
    }
    for (directory, name) in names {
        server.send(&doubt_entry(number, *directory, name));
    }
    // That there is none of a name is also believed.
    for (directory, _, node) in session.nodes.all() {
        if node.kind() != FileType::Directory {
            continue;
        }
        for entry in std::fs::read_dir(node.path()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            server.send(&doubt_entry(number, directory, name.as_encoded_bytes()));
        }
    }
}

/// Returns the names that a guest knows, as far as files are still called so.
pub(crate) fn known(session: &Session) -> Names {
    let top = session.nodes.find(ROOT).ok().and_then(|root| path(&root).ok());
    let Some(top) = top else {
        return Names::new();
    };
    let paths: Vec<_> = session
        .nodes
        .all()
        .into_iter()
        .filter_map(|(number, _, node)| {
            let path = without_note(path(&node).ok()?);
            Some((number, path.strip_prefix(&top).ok()?.as_os_str().as_bytes().to_owned()))
        })
        .collect();
    names(paths.iter().map(|(number, path)| (*number, path.as_slice())))
}

/// Returns the names in files' paths below a share, which come with the files' numbers.
pub(crate) fn names<'a>(paths: impl Iterator<Item = (u64, &'a [u8])> + Clone) -> Names {
    let numbers: HashMap<_, _> = paths.clone().map(|(number, path)| (path, number)).collect();
    let name = |(_, path): (u64, &[u8])| {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        let directory = numbers.get(parent).filter(|_| !name.is_empty())?;
        Some((*directory, name.to_owned()))
    };
    paths.filter_map(name).collect()
}

/// Returns where a file is, or was ([`without_note`]).
pub(crate) fn path(node: &Node) -> std::io::Result<PathBuf> {
    std::fs::read_link(node.path())
}

/// Takes away what the kernel appends to the path of what has none any more (proc_pid_fd(5)).
pub(crate) fn without_note(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(NOTE) {
        Some(bytes) => PathBuf::from(std::ffi::OsStr::from_bytes(bytes)),
        None => path,
    }
}

pub(crate) fn has_note(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(NOTE)
}

pub(crate) fn forget_entry(share: u32, directory: u64, name: &[u8]) -> Vec<u8> {
    entry(share, directory, name, 0)
}

fn doubt_entry(share: u32, directory: u64, name: &[u8]) -> Vec<u8> {
    entry(share, directory, name, notify::EXPIRE_ONLY)
}

/// `struct fuse_notify_inval_entry_out`.
fn entry(share: u32, directory: u64, name: &[u8], flags: u32) -> Vec<u8> {
    let head = (directory.to_le_bytes(), [name.len() as u32, flags].map(u32::to_le_bytes));
    let fields = [&head.0[..], head.1.as_flattened(), name, &[0]].concat();
    notification(share, notify::INVAL_ENTRY, &fields)
}

/// `struct fuse_notify_inval_inode_out`: attributes, and content from the begin to the end.
pub(crate) fn forget_file(share: u32, node: u64) -> Vec<u8> {
    let fields = [&node.to_le_bytes()[..], &[0; 16]].concat();
    notification(share, notify::INVAL_INODE, &fields)
}

const NOTE: &[u8] = b" (deleted)";
