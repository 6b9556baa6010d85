//! `template.json`: what a template is, and what its files were like when it was made.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use hull_vmm::{Shape, Stamp};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::key::Key;

/// Changes with everything that makes a template of before unusable and is not in its shape: the
/// layout of its directory, what is done in its guest.
pub(crate) const FORMAT: u32 = 2;

/// Description of a template. Written last: a directory without it is none.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) key: Key,
    pub(crate) shape: Shape,
    pub(crate) created: Timestamp,
    /// Boot of the host that made it. After another boot only what has been synced can be trusted.
    pub(crate) boot: String,
    /// `uname -r` and `uname -m` of the guest.
    pub(crate) kernel: Option<String>,
    /// The guest's memory; untouched for as long as this is its stamp.
    pub(crate) memory: Stamp,
    pub(crate) scratch: Stamp,
    /// SHA-256 of the device state, hexadecimal.
    pub(crate) state: String,
}

impl Manifest {
    /// Reads the manifest of the template in `dir`.
    pub(crate) fn read(dir: &Path) -> io::Result<Self> {
        serde_json::from_slice(&fs::read(dir.join(MANIFEST))?).map_err(io::Error::from)
    }

    /// Writes it, for a directory that nobody looks at yet.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        fs::write(dir.join(MANIFEST), serde_json::to_vec_pretty(self)?)
    }
}

/// Returns the stamp of an open file.
pub(crate) fn stamp(file: &File) -> io::Result<Stamp> {
    Ok(Stamp::of(&file.metadata()?))
}

/// Returns the digest that [`Manifest::state`] has.
pub(crate) fn digest(state: &[u8]) -> String {
    hex::encode(Sha256::digest(state))
}

/// Names in a template's directory.
pub(crate) const MANIFEST: &str = "template.json";
pub(crate) const MEMORY: &str = "memory";
pub(crate) const STATE: &str = "state";
pub(crate) const SCRATCH: &str = "scratch.ext4";
/// What its guest's kernel had logged when it was saved.
pub(crate) const BOOT_LOG: &str = "boot.log";
/// Image disk of a container that is run for practice.
pub(crate) const REHEARSAL: &str = "rehearsal.erofs";
/// Exists once everything is on the disk and survives a power cut.
pub(crate) const SYNCED: &str = "synced";
/// Its time of modification is when the template was last used.
pub(crate) const USED: &str = "used";
