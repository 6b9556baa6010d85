//! Who holds the namespace, for a service that is started by somebody who does not.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::fstat;

use crate::protocol::Files;

/// Descriptors of a process for a user and a network namespace, and their inodes: the number of a
/// process says little when that has gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) descriptors: [RawFd; 2],
    pub(crate) inodes: [u64; 2],
}

impl Holder {
    /// Reads what [`Note::write`] has written.
    #[cfg(any(target_os = "linux", test))]
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let holder = Self {
            pid: words.next()?.parse().ok()?,
            descriptors: [words.next()?.parse().ok()?, words.next()?.parse().ok()?],
            inodes: [words.next()?.parse().ok()?, words.next()?.parse().ok()?],
        };
        words.next().is_none().then_some(holder)
    }

    fn text(&self) -> String {
        let Self { pid, descriptors: [user, net], inodes: [user_inode, net_inode] } = self;
        format!("{pid} {user} {net} {user_inode} {net_inode}\n")
    }
}

/// The file of this process, which goes with the value.
#[derive(Debug)]
pub(crate) struct Note(PathBuf);

impl Note {
    /// Notes that this process holds `user` and `net`.
    pub(crate) fn write(files: &Files, user: &OwnedFd, net: &OwnedFd) -> io::Result<Self> {
        let holder = Holder {
            pid: std::process::id(),
            descriptors: [user.as_raw_fd(), net.as_raw_fd()],
            inodes: [fstat(user)?.st_ino, fstat(net)?.st_ino],
        };
        let dir = files.holders();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        // The descriptor is that of one member.
        let note = Self(dir.join(format!("{}-{}", holder.pid, net.as_raw_fd())));
        fs::write(&note.0, holder.text())?;
        Ok(note)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Returns all notes in `dir` that can be read.
#[cfg(any(target_os = "linux", test))]
pub(crate) fn notes(dir: &Path) -> impl Iterator<Item = (PathBuf, Holder)> + use<> {
    let all = fs::read_dir(dir).into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let path = entry.path();
        let holder = Holder::parse(&fs::read_to_string(&path).ok()?)?;
        Some((path, holder))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_until_it_goes() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::new(home.path());
        let open = || OwnedFd::from(fs::File::open("/").unwrap());
        let (user, net) = (open(), open());
        let note = Note::write(&files, &user, &net).unwrap();
        let found: Vec<_> = notes(&files.holders()).map(|(_, holder)| holder).collect();
        let inode = fstat(&net).unwrap().st_ino;
        let expected = Holder {
            pid: std::process::id(),
            descriptors: [user.as_raw_fd(), net.as_raw_fd()],
            inodes: [inode, inode],
        };
        assert_eq!(found, [expected]);
        drop(note);
        assert_eq!(notes(&files.holders()).count(), 0);
    }

    #[test]
    fn what_is_no_note_is_left_out() {
        for text in ["", "1 2 3 4", "1 2 3 4 5 6", "x 2 3 4 5"] {
            assert_eq!(Holder::parse(text), None, "{text:?}");
        }
    }
}
