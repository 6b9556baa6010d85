//! Writable disks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hull_template::{Key, Template, Templates};

/// Makes `path` an empty disk; it is there whole or not at all.
pub(super) fn make(path: &Path) -> io::Result<()> {
    let building = path.with_extension("new");
    let made = format(&building).and_then(|()| fs::rename(&building, path));
    if made.is_err() {
        // What is half a disk is of no use.
        let _ = fs::remove_file(&building);
    }
    made
}

fn format(path: &Path) -> io::Result<()> {
    let mut uuid = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut uuid)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let options = hull_ext4::Options::new(hull_ext4::Options::SCRATCH_SIZE, uuid);
    hull_ext4::format(&file, &options).map_err(io::Error::other)
}

/// A disk for a guest that has one mounted and will not use it.
#[derive(Debug)]
pub(super) struct Spare(PathBuf);

impl Spare {
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
    let spare = Spare(dir.join("spare.ext4"));
    match fs::remove_file(&spare.0) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    template.copy_scratch(&spare.0)?;
    Ok(spare)
}

/// Writes a new template to the disk while its first container runs.
pub(super) fn sync_in_background(store: &Templates, key: &Key) {
    let (store, key) = (store.clone(), key.clone());
    // Ends with the process; the template then has to be built again after a power cut.
    std::thread::spawn(move || {
        if let Ok(Some(template)) = store.open(&key)
            && let Err(error) = template.sync()
        {
            tracing::warn!(%error, "a new template would not survive a power cut");
        }
    });
}
