//! One template, opened and verified.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use hull_vmm::Snapshot;
use thiserror::Error;

use crate::key::Key;
use crate::manifest::{
    self, BOOT_LOG, FORMAT, MEMORY, Manifest, REHEARSAL, SCRATCH, STATE, SYNCED, USED,
};
use crate::sparse;

/// A template that can be forked. It stays usable after its files have been removed.
#[derive(Debug)]
pub struct Template {
    dir: PathBuf,
    manifest: Manifest,
    memory: File,
    state: Bytes,
}

/// Why a template cannot be used. It can be built again.
#[derive(Debug, Error)]
pub enum Damage {
    #[error("its {0} is not as it was when it was made")]
    Changed(&'static str),
    #[error("its {0} is missing")]
    Missing(&'static str),
    #[error("it was made by another version of Hull")]
    Other,
    #[error("its {0} cannot be read")]
    Unreadable(&'static str, #[source] io::Error),
    #[error("the host went down before it was on the disk")]
    Unsynced,
}

impl Template {
    /// Opens the template in `dir`; `None` if there is nothing.
    pub(crate) fn open(dir: &Path, key: &Key) -> Result<Option<Self>, Damage> {
        let manifest = match Manifest::read(dir) {
            Ok(manifest) => manifest,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !dir.exists() => {
                return Ok(None);
            }
            Err(error) => return Err(unreadable("description", error)),
        };
        if manifest.format != FORMAT || manifest.key != *key {
            return Err(Damage::Other);
        }
        let memory = open(dir, MEMORY, "memory")?;
        let scratch = open(dir, SCRATCH, "disk")?;
        for (file, then, what) in
            [(&memory, manifest.memory, "memory"), (&scratch, manifest.scratch, "disk")]
        {
            if manifest::stamp(file).map_err(|error| unreadable(what, error))? != then {
                return Err(Damage::Changed(what));
            }
        }
        let mut state = Vec::new();
        open(dir, STATE, "state")?
            .read_to_end(&mut state)
            .map_err(|error| unreadable("state", error))?;
        if manifest::digest(&state) != manifest.state {
            return Err(Damage::Changed("state"));
        }
        let same_boot = hull_vmm::host_boot().is_ok_and(|boot| boot == manifest.boot);
        if !same_boot && !dir.join(SYNCED).exists() {
            return Err(Damage::Unsynced);
        }
        Ok(Some(Self { dir: dir.to_owned(), manifest, memory, state: state.into() }))
    }

    /// Returns what the template is known by.
    pub fn key(&self) -> &Key {
        &self.manifest.key
    }

    /// Returns `uname -r` and `uname -m` of its guest.
    pub fn kernel(&self) -> Option<&str> {
        self.manifest.kernel.as_deref()
    }

    /// Returns what a machine is forked from.
    ///
    /// # Errors
    /// If this process can have no more descriptors.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        Ok(Snapshot { memory: OwnedFd::from(self.memory.try_clone()?), state: self.state.clone() })
    }

    /// Makes `to` the writable disk of a fork that runs a new container.
    ///
    /// # Errors
    /// If it exists or cannot be written, or if the template has been removed meanwhile.
    pub fn copy_scratch(&self, to: &Path) -> io::Result<()> {
        sparse::copy(&self.dir.join(SCRATCH), to)
    }

    /// Returns what its guest's kernel had logged, with syslog's priorities; empty if that is lost.
    pub fn boot_log(&self) -> String {
        fs::read_to_string(self.dir.join(BOOT_LOG)).unwrap_or_default()
    }

    /// Returns the image disk of a container to practise with: its program is
    /// [`crate::image::COMMAND`].
    pub fn rehearsal(&self) -> PathBuf {
        self.dir.join(REHEARSAL)
    }

    /// Notes that the template was used now: those that are not will be removed first.
    pub fn touch(&self) {
        let now = SystemTime::now();
        // Of no consequence but for the order of removal.
        let _ = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.dir.join(USED))
            .and_then(|file| file.set_modified(now));
    }

    /// Writes everything to the disk, so that it survives a power cut. Takes a while.
    ///
    /// # Errors
    /// If the host cannot write it; the template then ends with this boot of the host.
    pub fn sync(&self) -> io::Result<()> {
        if self.dir.join(SYNCED).exists() {
            return Ok(());
        }
        self.memory.sync_all()?;
        for name in [STATE, SCRATCH, REHEARSAL, manifest::MANIFEST] {
            File::open(self.dir.join(name))?.sync_all()?;
        }
        fs::write(self.dir.join(SYNCED), "")?;
        File::open(&self.dir)?.sync_all()
    }
}

fn open(dir: &Path, name: &str, what: &'static str) -> Result<File, Damage> {
    File::open(dir.join(name)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Damage::Missing(what),
        _ => Damage::Unreadable(what, error),
    })
}

fn unreadable(what: &'static str, error: io::Error) -> Damage {
    match error.kind() {
        io::ErrorKind::NotFound => Damage::Missing(what),
        _ => Damage::Unreadable(what, error),
    }
}
