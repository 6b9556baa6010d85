//! Volumes that are empty for who uses them first.
//!
//! All users have a file locked together; who can have it locked alone is the first, or the last. The
//! kernel unlocks for who dies: what that one left is removed by who comes next.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::Emptied;
use crate::nodes::Node;
use crate::owner::{Change, Owners};

/// One who uses such a volume.
#[derive(Debug)]
pub(crate) struct User {
    users: File,
    emptied: Emptied,
}

impl User {
    /// Begins to use a volume; who is alone finds nothing in it.
    ///
    /// # Errors
    /// The file cannot be locked, or something cannot be removed.
    pub(crate) fn enter(emptied: &Emptied) -> io::Result<Self> {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let users = options.open(&emptied.users)?;
        match flock(&users, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                empty(&emptied.top)?;
                let top =
                    rustix::fs::open(&emptied.top, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
                let (top, _) = Node::new(top)?;
                let Emptied { uid, gid, mode, .. } = *emptied;
                let change = Change { uid: Some(uid), gid: Some(gid), mode: Some(mode) };
                Owners::of_process().change(&top, change)?;
            }
            Err(Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        // Who is emptying it has not used it yet: all wait for that.
        flock(&users, FlockOperation::LockShared)?;
        Ok(Self { users, emptied: emptied.clone() })
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if flock(&self.users, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Who comes next does it again.
            let _ = empty(&self.emptied.top);
        }
    }
}

/// Removes what is in a directory.
fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_first_and_the_last_empty_it() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("data");
        fs::create_dir_all(top.join("left/below")).unwrap();
        fs::write(top.join("left/file"), "x").unwrap();
        let emptied = Emptied {
            users: dir.path().join("users"),
            top: top.clone(),
            mode: 0o1770,
            ..Emptied::default()
        };
        let count = || fs::read_dir(&top).unwrap().count();
        // Owners other than its own are not for everybody.
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let emptied = Emptied { uid, gid, ..emptied };
        let first = User::enter(&emptied).unwrap();
        assert_eq!(count(), 0);
        if uid == 0 {
            assert_eq!(fs::metadata(&top).unwrap().permissions().mode() & 0o7777, 0o1770);
        }
        fs::write(top.join("file"), "x").unwrap();
        let second = User::enter(&emptied).unwrap();
        drop(first);
        assert_eq!(count(), 1);
        drop(second);
        assert_eq!(count(), 0);
    }
}
