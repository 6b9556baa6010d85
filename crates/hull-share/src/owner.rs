//! Whose files are.
//!
//! A server that is root gives files the owners and modes that the guest says. Any other cannot:
//! it keeps both in the extended attribute [`NAME`] of what has one (files and directories), and
//! leaves the files to the user that it runs as, with all access for that user and without set-id
//! bits, which would be for programs of the host. Of sockets, which mean something for as long as the
//! guest has them, both are kept in memory. Links and the like then belong to the guest's root.

use rustix::fs::{AtFlags, FileType, Gid, Mode, Statx, Uid, XattrFlags, chmod, chownat};
use rustix::io::{Errno, Result};

use crate::nodes::Node;

/// How owners are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Owners {
    /// By the host's file system.
    Real,
    /// In an extended attribute; the user and group that files really have.
    Kept { uid: u32, gid: u32 },
}

/// What the guest sees of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `st_mode`, with the type.
    pub(crate) mode: u32,
}

impl Owners {
    /// Returns what this process can do.
    pub(crate) fn of_process() -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        match uid.is_root() {
            true => Self::Real,
            false => Self::Kept { uid: uid.as_raw(), gid: gid.as_raw() },
        }
    }

    /// Returns who owns `node`, which `stat` describes.
    pub(crate) fn owner(self, node: &Node, stat: &Statx) -> Owner {
        let real = Owner { uid: stat.stx_uid, gid: stat.stx_gid, mode: stat.stx_mode.into() };
        let Self::Kept { uid, gid } = self else {
            return real;
        };
        if let Some(kept) = kept(node) {
            return kept.applied(real.mode);
        }
        let (uid, gid) = Self::Kept { uid, gid }.mapped(real.uid, real.gid);
        Owner { uid, gid, ..real }
    }

    /// Returns whom the guest sees as the owner of a file that nobody has given one.
    pub(crate) fn mapped(self, real_uid: u32, real_gid: u32) -> (u32, u32) {
        let Self::Kept { uid, gid } = self else {
            return (real_uid, real_gid);
        };
        // As user namespaces have it: the user is the guest's root, and others are nobody.
        let map = |id, own| if id == own { 0 } else { NOBODY };
        (map(real_uid, uid), map(real_gid, gid))
    }

    /// Changes owner or mode.
    pub(crate) fn change(self, node: &Node, change: Change) -> Result<()> {
        if self == Self::Real {
            return change_real(node, change);
        }
        let stat = node.stat()?;
        let now = self.owner(node, &stat);
        let mode = change.mode.unwrap_or(now.mode) & PERMISSIONS;
        let uid = change.uid.unwrap_or(now.uid);
        let gid = change.gid.unwrap_or(now.gid);
        if !is_kept(node) {
            return Ok(());
        }
        let host = host_mode(node.kind(), mode);
        if u32::from(stat.stx_mode) & PERMISSIONS != host {
            chmod(node.path(), Mode::from_raw_mode(host))?;
        }
        keep(node, Kept { uid, gid, mode })
    }

    /// Returns whose a file will be that `owner` makes in the directory `parent`, which may pass
    /// its group on.
    pub(crate) fn in_directory(self, parent: &Node, kind: FileType, owner: Owner) -> Result<Owner> {
        let directory = self.owner(parent, &parent.stat()?);
        if directory.mode & SET_GROUP_ID == 0 {
            return Ok(owner);
        }
        let bit = if kind == FileType::Directory { SET_GROUP_ID } else { 0 };
        Ok(Owner { gid: directory.gid, mode: owner.mode | bit, ..owner })
    }

    /// Says whose a file is that has just been made with [`Owners::creation_mode`].
    pub(crate) fn adopt(self, node: &Node, owner: Owner) -> Result<()> {
        let change = Change { uid: Some(owner.uid), gid: Some(owner.gid), mode: Some(owner.mode) };
        let has_set_id = owner.mode & SET_ID != 0 && node.kind() != FileType::Symlink;
        match self {
            Self::Real if owner.uid == 0 && owner.gid == 0 && !has_set_id => Ok(()),
            Self::Real => {
                change_real(node, Change { mode: change.mode.filter(|_| has_set_id), ..change })
            }
            Self::Kept { .. } => self.change(node, change),
        }
    }

    /// Returns the mode that something new is to be made with on the host.
    pub(crate) fn creation_mode(self, kind: FileType, mode: u32) -> Mode {
        Mode::from_raw_mode(match self {
            Self::Real => mode & PERMISSIONS,
            Self::Kept { .. } => host_mode(kind, mode),
        })
    }

    /// Takes set-id bits away, as a write by an ordinary user does.
    pub(crate) fn kill_set_id(self, node: &Node) -> Result<()> {
        let stat = node.stat()?;
        let mode = self.owner(node, &stat).mode;
        let group = if mode & 0o010 != 0 { SET_GROUP_ID } else { 0 };
        let killed = mode & !(0o4000 | group);
        match killed == mode {
            true => Ok(()),
            false => self.change(node, Change { mode: Some(killed), ..Change::default() }),
        }
    }

    /// Whether an extended attribute is the server's own, which no guest sees.
    pub(crate) fn is_own(name: &[u8]) -> bool {
        name == NAME.as_bytes()
    }
}

/// What is to change; `None`: nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) mode: Option<u32>,
}

fn change_real(node: &Node, change: Change) -> Result<()> {
    if change.uid.is_some() || change.gid.is_some() {
        let (uid, gid) = (change.uid.map(Uid::from_raw), change.gid.map(Gid::from_raw));
        chownat(node.fd(), "", uid, gid, AtFlags::EMPTY_PATH)?;
    }
    match change.mode {
        // After the owner, whose change takes set-id bits away.
        Some(mode) => chmod(node.path(), Mode::from_raw_mode(mode & PERMISSIONS)),
        None => Ok(()),
    }
}

/// Content of [`NAME`]: `uid:gid:mode`, the mode in octal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Kept {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let kept = Self {
            uid: parts.next()?.parse().ok()?,
            gid: parts.next()?.parse().ok()?,
            mode: u32::from_str_radix(parts.next()?, 8).ok()? & PERMISSIONS,
        };
        parts.next().is_none().then_some(kept)
    }

    fn applied(self, host: u32) -> Owner {
        let kind = FileType::from_raw_mode(host);
        // Someone on the host has changed the mode since.
        let mode = match host_mode(kind, self.mode) == host & PERMISSIONS {
            true => self.mode,
            false => host & PERMISSIONS,
        };
        Owner { uid: self.uid, gid: self.gid, mode: host & !PERMISSIONS | mode }
    }
}

/// The mode on the host of what has `mode` in the guest.
fn host_mode(kind: FileType, mode: u32) -> u32 {
    let own = if kind == FileType::Directory { 0o700 } else { 0o600 };
    mode & 0o777 | own
}

fn is_kept(node: &Node) -> bool {
    matches!(node.kind(), FileType::RegularFile | FileType::Directory | FileType::Socket)
}

fn kept(node: &Node) -> Option<Kept> {
    match node.kind() {
        FileType::RegularFile | FileType::Directory => {}
        FileType::Socket => return node.kept(),
        _ => return None,
    }
    let mut buffer = [0; 64];
    let length = rustix::fs::getxattr(node.path(), NAME, &mut buffer[..]).ok()?;
    Kept::parse(str::from_utf8(&buffer[..length]).ok()?)
}

fn keep(node: &Node, kept: Kept) -> Result<()> {
    if node.kind() == FileType::Socket {
        node.keep(kept);
        return Ok(());
    }
    let text = format!("{}:{}:{:o}", kept.uid, kept.gid, kept.mode);
    match rustix::fs::setxattr(node.path(), NAME, text.as_bytes(), XattrFlags::empty()) {
        // A file system that cannot keep it: the guest is told that it has no such right.
        Err(Errno::NOTSUP) => Err(Errno::PERM),
        other => other,
    }
}

const NAME: &str = "user.hull.owner";
/// Docker's and Linux's: an owner that cannot be shown.
const NOBODY: u32 = 65534;
const PERMISSIONS: u32 = 0o7777;
const SET_ID: u32 = 0o6000;
const SET_GROUP_ID: u32 = 0o2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        let kept = Kept::parse("5:6:4755").unwrap();
        assert_eq!(kept, Kept { uid: 5, gid: 6, mode: 0o4755 });
        for bad in ["", "5:6", "5:6:9", "5:6:755:1", "-1:0:755"] {
            assert_eq!(Kept::parse(bad), None, "{bad}");
        }
        let file = 0o100_000;
        assert_eq!(kept.applied(file | 0o755).mode, file | 0o4755);
        // chmod on the host.
        assert_eq!(kept.applied(file | 0o700).mode, file | 0o700);
    }

    #[test]
    fn the_user_can_always_use_its_files() {
        assert_eq!(host_mode(FileType::RegularFile, 0o4000), 0o600);
        assert_eq!(host_mode(FileType::Directory, 0o1055), 0o755);
    }
}
