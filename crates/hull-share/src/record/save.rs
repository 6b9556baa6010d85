//! Writing down what a guest knows.

use std::collections::HashMap;
use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, OFlags, Statx, StatxFlags, fcntl_getfl, statx};
use rustix::io::{Errno, Result};

use super::held::Held;
use super::{Deleted, File, Handle, Known, Mark, Node, Ranges, Record, Unnamed};
use crate::forget::{self, has_note, without_note};
use crate::nodes::{self, Identity};
use crate::session::Session;
use crate::wire::ROOT;
use crate::{ServeError, raw};

impl Record {
    pub(crate) fn save(
        sessions: &[Arc<Session>],
    ) -> std::result::Result<(Self, Vec<Deleted>), ServeError> {
        let mut deleted = Vec::new();
        let mut shares = Vec::new();
        for session in sessions {
            shares.push(Known::save(session, &mut deleted)?);
        }
        Ok((Self { shares }, deleted))
    }
}

impl Known {
    fn save(
        session: &Session,
        deleted: &mut Vec<Deleted>,
    ) -> std::result::Result<Self, ServeError> {
        let failed = |errno: Errno| ServeError::State(errno.into());
        let root = session.nodes.find(ROOT).map_err(failed)?;
        let top = path(&root).map_err(failed)?;
        if is_unnamed(&root, &root.stat().map_err(failed)?, &top) {
            return Err(ServeError::Removed(without_note(top)));
        }
        let known = Self {
            directory: root.kind() == FileType::Directory,
            agreed: session.cache.is_agreed(),
            files: Vec::new(),
            nodes: Vec::new(),
            lost: session.nodes.lost(),
            handles: Vec::new(),
            ranges: Vec::new(),
            waiting: session.locks.waiting(),
            sockets: session.sockets.all(),
        };
        let saver = Saver { session, top, known, places: HashMap::new(), deleted };
        saver.all().map_err(failed)
    }
}

struct Saver<'a> {
    session: &'a Session,
    /// Path of the share.
    top: PathBuf,
    known: Known,
    /// Places in [`Known::files`].
    places: HashMap<Identity, usize>,
    deleted: &'a mut Vec<Deleted>,
}

impl Saver<'_> {
    fn all(mut self) -> Result<Known> {
        for (number, lookups, node) in self.session.nodes.all() {
            let file = self.file(&node)?;
            let watched = node.is_watched();
            self.known.nodes.push(Node { number, lookups, watched, file });
        }
        for (number, handle) in self.session.handles.all() {
            let Some(open) = handle.duplicate()? else {
                let handle = Handle { number, kind: 0, flags: 0, file: None, locked: None };
                self.known.handles.push(handle);
                continue;
            };
            let locked = Held::of(open.as_fd())?.whole;
            let flags = fcntl_getfl(&open)? & (OFlags::RWMODE | OFlags::SYNC | OFlags::DSYNC);
            let (node, _) = nodes::Node::new(open)?;
            let file = self.file(&node)?;
            self.keep(file, &node)?;
            let (kind, flags) = (handle.kind(), flags.bits());
            self.known.handles.push(Handle { number, kind, flags, file: Some(file), locked });
        }
        for (owner, pid, handles, file) in self.session.locks.held() {
            let locks = Held::of(file.as_fd())?.ranges;
            let ranges = Ranges { node: owner.node, owner: owner.number, pid, handles, locks };
            self.known.ranges.push(ranges);
        }
        Ok(self.known)
    }

    /// Returns the place of a file in the list.
    fn file(&mut self, node: &nodes::Node) -> Result<usize> {
        if let Some(place) = self.places.get(&node.identity()) {
            return Ok(*place);
        }
        let (stat, full) = (stat(node)?, path(node)?);
        let unnamed = is_unnamed(node, &stat, &full);
        let owner = self.session.owners.owner(node, &stat);
        let owner = (owner.uid, owner.gid, owner.mode);
        // That of one without a name says what it was.
        let below = without_note_if(unnamed, full);
        let below = below.strip_prefix(&self.top).ok();
        self.known.files.push(File {
            path: below.map(|path| path.as_os_str().as_bytes().to_owned()),
            kind: node.kind().as_raw_mode(),
            inode: stat.stx_ino,
            mark: Mark::of(node, &stat),
            size: stat.stx_size,
            changed: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            deleted: unnamed.then_some(Unnamed { kept: None, owner }),
        });
        let place = self.known.files.len() - 1;
        self.places.insert(node.identity(), place);
        if node.kind() == FileType::Directory {
            // A program may be in it, which is not known here.
            self.keep(place, node)?;
        }
        Ok(place)
    }

    /// Has a file be kept that has no name.
    fn keep(&mut self, place: usize, node: &nodes::Node) -> Result<()> {
        let file = &mut self.known.files[place];
        let name = file.name(&self.top);
        let Some(unnamed) = file.deleted.as_mut().filter(|unnamed| unnamed.kept.is_none()) else {
            return Ok(());
        };
        let size = match node.kind() {
            FileType::Directory => None,
            FileType::RegularFile => Some(node.stat()?.stx_blocks.saturating_mul(512)),
            _ => return Ok(()),
        };
        unnamed.kept = Some(self.deleted.len());
        let file = rustix::io::fcntl_dupfd_cloexec(node.fd(), 0)?;
        self.deleted.push(Deleted { name, size, file });
        Ok(())
    }
}

impl Mark {
    pub(super) fn of(node: &nodes::Node, stat: &Statx) -> Self {
        match raw::file_handle(node.fd()) {
            Ok(handle) => Self::Handle(handle.into()),
            // The file system has none.
            Err(_) => Self::Birth(stat.stx_ino, stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec),
        }
    }
}

/// Returns what [`Mark::of`] and the rest needs of a file.
pub(super) fn stat(node: &nodes::Node) -> Result<Statx> {
    statx(node.fd(), "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::BTIME)
}

fn path(node: &nodes::Node) -> Result<PathBuf> {
    forget::path(node).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Whether a file has no name any more, which `path` seems to be.
fn is_unnamed(node: &nodes::Node, stat: &Statx, path: &Path) -> bool {
    if node.kind() != FileType::Directory || stat.stx_nlink == 0 {
        return stat.stx_nlink == 0;
    }
    // Some file systems count no links of directories.
    let is_there = |there: fs::Metadata| there.ino() == stat.stx_ino;
    has_note(path) && !fs::symlink_metadata(path).is_ok_and(is_there)
}

fn without_note_if(unnamed: bool, path: PathBuf) -> PathBuf {
    if unnamed { without_note(path) } else { path }
}
