//! The directory with all templates.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hull_vmm::Shape;
use jiff::Timestamp;
use rustix::fs::FlockOperation;

use crate::key::Key;
use crate::manifest::{Manifest, USED};
use crate::template::{Damage, Template};

/// Templates in a directory. They are shared by all containers; any number of processes may use,
/// build and remove them at the same time: machines that were forked keep what they need.
#[derive(Clone, Debug)]
pub struct Templates {
    pub(crate) dir: PathBuf,
    budget: Option<u64>,
}

/// What is known of a template.
#[derive(Clone, Debug)]
pub struct Info {
    pub key: Key,
    pub state: State,
    /// Bytes on the disk.
    pub size: u64,
    /// `None` if the template is damaged or is being built.
    pub details: Option<Details>,
}

/// What a template's description says.
#[derive(Clone, Debug)]
pub struct Details {
    pub shape: Shape,
    /// `uname -r` and `uname -m` of its guest.
    pub kernel: Option<String>,
    pub created: Timestamp,
    pub last_used: Timestamp,
}

/// Whether a template can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    Ready,
    Building,
    /// Will be built again when it is needed.
    Damaged,
}

impl Templates {
    /// Returns the templates in `dir`, which is made when it is needed. `budget`: bytes on the disk
    /// above which the least recently used ones are removed; `None`: no limit.
    pub fn new(dir: impl Into<PathBuf>, budget: Option<u64>) -> Self {
        Self { dir: dir.into(), budget }
    }

    /// Opens the template `key`; `None` if there is none.
    ///
    /// # Errors
    /// [`Damage`] if there is one that cannot be used.
    pub fn open(&self, key: &Key) -> Result<Option<Template>, Damage> {
        Template::open(&self.path(key), key)
    }

    /// Returns all templates, the most recently used first.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Info>> {
        let mut all: Vec<Info> = Vec::new();
        for name in self.names()? {
            let (digits, building) = match name.strip_suffix(BUILDING) {
                Some(digits) => (digits, true),
                None => (name.as_str(), false),
            };
            let Ok(key) = digits.parse::<Key>() else { continue };
            let path = self.dir.join(&name);
            if building {
                // What a builder that was killed has left is nobody's.
                if !all.iter().any(|info| info.key == key) && self.is_locked(&key) {
                    let size = size(&path);
                    all.push(Info { key, state: State::Building, size, details: None });
                }
                continue;
            }
            all.retain(|info| info.key != key);
            all.push(info(key, &path));
        }
        all.sort_by_key(|info| std::cmp::Reverse(info.details.as_ref().map(|d| d.last_used)));
        Ok(all)
    }

    /// Removes the template `key`; returns whether there was one. Machines that were forked from it
    /// are not disturbed.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, key: &Key) -> io::Result<bool> {
        let path = self.path(key);
        // Out of the way at once, and only then taken apart: nobody opens half a template.
        let doomed = self.dir.join(format!("{key}.{}{REMOVING}", std::process::id()));
        match fs::rename(&path, &doomed) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        remove_tree(&doomed)?;
        Ok(true)
    }

    /// Removes what was left behind by processes that were killed, and the least recently used
    /// templates until the rest fits into the budget; `keep` stays in any case. Returns what was
    /// removed.
    ///
    /// # Errors
    /// If the directory cannot be read or a template cannot be removed.
    pub fn evict(&self, keep: Option<&Key>) -> io::Result<Vec<Key>> {
        self.sweep()?;
        let mut removed = Vec::new();
        let Some(budget) = self.budget else { return Ok(removed) };
        let all = self.list()?;
        let mut total: u64 = all.iter().map(|info| info.size).sum();
        for info in all.iter().rev() {
            if total <= budget {
                break;
            }
            if info.state != State::Building && keep != Some(&info.key) && self.remove(&info.key)? {
                total = total.saturating_sub(info.size);
                removed.push(info.key.clone());
            }
        }
        Ok(removed)
    }

    /// Removes what no process works on any more.
    fn sweep(&self) -> io::Result<()> {
        for name in self.names()? {
            let path = self.dir.join(&name);
            if name.ends_with(REMOVING) {
                gone(remove_tree(&path))?;
            } else if let Some(key) = name.strip_suffix(BUILDING).and_then(|text| text.parse().ok())
                && let Some(_lock) = self.try_lock(&key)?
            {
                gone(fs::remove_dir_all(&path))?;
            } else if let Some(key) = name.strip_suffix(LOCK).and_then(|text| text.parse().ok())
                && !self.path(&key).exists()
                && let Some(_lock) = self.try_lock(&key)?
            {
                gone(fs::remove_file(&path))?;
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(key.as_str())
    }

    /// Where the template `key` is built.
    pub(crate) fn building(&self, key: &Key) -> PathBuf {
        self.dir.join(format!("{key}{BUILDING}"))
    }

    /// Makes the directory of all templates.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)
    }

    /// Takes the lock that the builder of `key` holds; `None` if somebody else has it. It is given
    /// up with the file.
    pub(crate) fn try_lock(&self, key: &Key) -> io::Result<Option<File>> {
        let path = self.dir.join(format!("{key}{LOCK}"));
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
            // It may have been removed between the two.
            match fs::metadata(&path) {
                Ok(there) if there.ino() == file.metadata()?.ino() => return Ok(Some(file)),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    fn is_locked(&self, key: &Key) -> bool {
        matches!(self.try_lock(key), Ok(None))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

fn info(key: Key, path: &Path) -> Info {
    let details = Manifest::read(path).ok().map(|manifest| Details {
        shape: manifest.shape,
        kernel: manifest.kernel,
        created: manifest.created,
        last_used: last_used(path).unwrap_or(manifest.created),
    });
    let usable = details.is_some() && Template::open(path, &key).is_ok_and(|found| found.is_some());
    let state = if usable { State::Ready } else { State::Damaged };
    Info { state, size: size(path), details, key }
}

fn last_used(path: &Path) -> Option<Timestamp> {
    let used: SystemTime = fs::metadata(path.join(USED)).ok()?.modified().ok()?;
    used.try_into().ok()
}

/// Bytes that the files in a directory take on the disk.
fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.blocks() * 512)
        .sum()
}

/// Removes a directory, or what somebody has put in its place.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// Takes no offence if somebody else was faster.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

const BUILDING: &str = ".new";
const LOCK: &str = ".lock";
const REMOVING: &str = ".old";
