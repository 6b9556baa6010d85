//! Hears what others do to files that a guest believes to know.
//!
//! The kernel says of every change which process made it if that is this one (fanotify(7)): so what
//! a guest does itself, whose kernel knows of it, is told from what the host and other machines do.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};

use crate::nodes::Node;
use crate::raw;

/// What names a file in its file system.
pub(crate) type FileHandle = Box<[u8]>;

/// Files and directories that are watched.
#[derive(Debug)]
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// # Errors
    /// The host's kernel does not offer it, or the user has too many.
    pub(crate) fn new() -> Result<Self> {
        raw::fanotify_init().map(Self)
    }

    /// Watches a directory and what is directly in it, or a file.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: others change the file system who are not heard. `ENOSPC`: there are too many.
    pub(crate) fn add(&self, node: &Node) -> Result<()> {
        if !is_local(rustix::fs::fstatfs(node.fd())?.f_type as u64) {
            return Err(Errno::OPNOTSUPP);
        }
        raw::fanotify_mark(&self.0, false, CHANGES, &node.path())
    }

    pub(crate) fn remove(&self, node: &Node) {
        // It ends with the file otherwise.
        let _ = raw::fanotify_mark(&self.0, true, CHANGES, &node.path());
    }

    /// Watches who opens a file.
    pub(crate) fn add_opens(&self, path: &str) -> Result<()> {
        raw::fanotify_mark(&self.0, false, libc::FAN_OPEN, path)
    }

    /// Takes what has been heard so far, and tells `tell` what others did.
    pub(crate) fn take(&self, buffer: &mut [u8], mut tell: impl FnMut(Heard<'_>)) -> Result<()> {
        loop {
            let length = match rustix::io::read(&self.0, &mut *buffer) {
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(()),
                other => other?,
            };
            parse(&buffer[..length], std::process::id(), &mut tell);
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What another process did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heard<'a> {
    /// The entry of a directory is another file than before, or none.
    Entry { directory: &'a [u8], name: &'a CStr },
    /// Content or attributes of a file have changed.
    File(&'a [u8]),
    /// Somebody has opened a file.
    Open(&'a [u8]),
    /// So much has happened that some was not heard.
    Lost,
}

/// Takes `struct fanotify_event_metadata`s and their `struct fanotify_event_info_fid`s apart.
fn parse(mut events: &[u8], own: u32, tell: &mut impl FnMut(Heard<'_>)) {
    while let Some((length, mask, pid)) = metadata(events) {
        let Some((event, rest)) = events.split_at_checked(length) else {
            return;
        };
        events = rest;
        if mask & libc::FAN_Q_OVERFLOW != 0 {
            tell(Heard::Lost);
        } else if pid != own {
            tell_event(&event[METADATA..], mask, tell);
        }
    }
}

fn tell_event(mut records: &[u8], mask: u64, tell: &mut impl FnMut(Heard<'_>)) {
    while let [kind, _, low, high, ..] = *records {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let Some((record, rest)) = records.split_at_checked(length.max(4)) else {
            return;
        };
        records = rest;
        let Some((handle, name)) = handle(record) else {
            continue;
        };
        let name = CStr::from_bytes_until_nul(name).ok().filter(|_| kind == INFO_DFID_NAME);
        match name {
            _ if mask & libc::FAN_OPEN != 0 => tell(Heard::Open(handle)),
            Some(name) if mask & ENTRIES != 0 && name != c"." => {
                tell(Heard::Entry { directory: handle, name });
            }
            // Of a file whose directory is watched, the file's own handle comes as well.
            Some(name) if name != c"." => {}
            _ => tell(Heard::File(handle)),
        }
    }
}

/// Returns length, mask and process of the first event.
fn metadata(events: &[u8]) -> Option<(usize, u64, u32)> {
    let head = events.first_chunk::<METADATA>()?;
    let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let (mask, rest) = head[8..].split_first_chunk::<8>()?;
    let pid = rest[4..].first_chunk::<4>()?;
    (length >= METADATA).then_some((length, u64::from_ne_bytes(*mask), u32::from_ne_bytes(*pid)))
}

/// Returns the handle in a record, as [`raw::file_handle`] has it, and what follows.
fn handle(record: &[u8]) -> Option<(&[u8], &[u8])> {
    // Type, padding, length, and the file system's number.
    let (length, handle) = record.get(4 + 8..)?.split_first_chunk::<4>()?;
    handle.split_at_checked(4 + u32::from_ne_bytes(*length) as usize)
}

/// Whether all changes to a file system are made through this kernel (`statfs.f_type`).
fn is_local(kind: u64) -> bool {
    const EXT4: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    const F2FS: u64 = 0xf2f5_2010;
    const TMPFS: u64 = 0x0102_1994;
    const ZFS: u64 = 0x2fc1_2fc1;
    const BCACHEFS: u64 = 0xca45_1a4e;
    const OVERLAY: u64 = 0x794c_7630;
    [EXT4, XFS, BTRFS, F2FS, TMPFS, ZFS, BCACHEFS, OVERLAY].contains(&(kind & 0xffff_ffff))
}

const ENTRIES: u64 =
    libc::FAN_CREATE | libc::FAN_DELETE | libc::FAN_MOVED_FROM | libc::FAN_MOVED_TO;
const CHANGES: u64 =
    ENTRIES | libc::FAN_MODIFY | libc::FAN_ATTRIB | libc::FAN_EVENT_ON_CHILD | libc::FAN_ONDIR;
/// `sizeof(struct fanotify_event_metadata)`.
const METADATA: usize = 24;
/// `FAN_EVENT_INFO_TYPE_DFID_NAME`.
const INFO_DFID_NAME: u8 = 2;

#[cfg(test)]
mod tests {
    use rustix::fs::{Mode, OFlags};

    use super::*;

    fn node(path: &std::path::Path) -> Node {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Node::new(rustix::fs::open(path, flags, Mode::empty()).unwrap()).unwrap().0
    }

    #[test]
    fn others_are_heard_and_this_process_is_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let (top, file) = (node(dir.path()), node(&dir.path().join("file")));
        let handles = [&top, &file].map(|node| raw::file_handle(node.fd()).unwrap());
        let watch = Watch::new().unwrap();
        watch.add(&top).unwrap();
        let mut buffer = [0; 4096];
        let mut heard = || {
            let mut all = Vec::new();
            let note = |heard: Heard<'_>| {
                all.push(match heard {
                    Heard::Entry { directory, name } => {
                        assert_eq!(directory, &*handles[0]);
                        name.to_str().unwrap().to_owned()
                    }
                    Heard::File(handle) if *handle == *handles[0] => "the directory".into(),
                    Heard::File(handle) if *handle == *handles[1] => "the file".into(),
                    other => format!("{other:?}"),
                });
            };
            watch.take(&mut buffer, note).unwrap();
            all.sort();
            all.dedup();
            all
        };
        std::fs::write(dir.path().join("own"), "own").unwrap();
        std::fs::write(dir.path().join("file"), "own").unwrap();
        assert!(heard().is_empty());
        let shell = |script: &str| {
            let status = std::process::Command::new("sh")
                .args(["-c", script])
                .current_dir(dir.path())
                .status();
            assert!(status.unwrap().success());
        };
        shell("echo other >> file");
        assert_eq!(heard(), ["the file"]);
        shell("chmod 700 .");
        assert_eq!(heard(), ["the directory"]);
        shell("mkdir new; mv own old; rm file");
        let all = heard();
        for name in ["new", "own", "old", "file"] {
            assert!(all.iter().any(|heard| heard == name), "{name}: {all:?}");
        }
        watch.remove(&top);
        shell("touch unheard");
        assert!(heard().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_not_heard() {
        let mut event = vec![0; METADATA];
        event[0] = METADATA as u8 + 8;
        event[8] = libc::FAN_MODIFY as u8;
        event.extend([1, 0, 200, 0, 0, 0, 0, 0]);
        for length in 0..=event.len() {
            parse(&event[..length], 1, &mut |heard| panic!("{heard:?}"));
        }
        event[9] = 0x40;
        let mut count = 0;
        parse(&event, 1, &mut |heard| count += u32::from(heard == Heard::Lost));
        assert_eq!(count, 1);
    }
}
