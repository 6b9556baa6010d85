//! Writable disks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hull_template::Template;

/// Makes `path` an empty disk; it is there whole or not at all.
pub(super) fn make(path: &Path) -> io::Result<()> {
    let building = path.with_extension("new");
    let made = hull_template::scratch::format(&building).and_then(|()| fs::rename(&building, path));
    if made.is_err() {
        // What is half a disk is of no use.
        let _ = fs::remove_file(&building);
    }
    made
}

/// A disk for a guest that has one mounted and will not use it.
#[derive(Debug)]
pub(super) struct Spare(PathBuf);

impl Spare {
    /// Returns where a spare disk may be made in `dir`; there is none.
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        let spare = Self(dir.join("spare.ext4"));
        super::remove(&spare.0)?;
        Ok(spare)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // Left behind, it goes with the container.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a spare disk in `dir`; who has it open keeps it when the value is dropped.
pub(super) fn spare(dir: &Path, template: &Template) -> io::Result<Spare> {
    let spare = Spare::new(dir)?;
    template.copy_scratch(&spare.0)?;
    Ok(spare)
}
