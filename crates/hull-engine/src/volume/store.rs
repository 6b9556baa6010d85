//! Volumes on disk: a directory each, with `volume.json` and the content in `_data`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::warn;

use super::{ANONYMOUS, CreateVolume, Volume};
use crate::durable::{self, Survives};
use crate::{Error, Result, random};

/// All volumes of a state directory.
#[derive(Debug)]
pub(crate) struct Volumes {
    dir: PathBuf,
    /// Held while one is made or removed, too: that is a few small files.
    known: Mutex<BTreeMap<String, Volume>>,
}

impl Volumes {
    /// Finds the volumes in `dir`.
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        make_directory(&dir, 0o700).map_err(Error::file("make", &dir))?;
        let mut known = BTreeMap::new();
        let entries = fs::read_dir(&dir).map_err(Error::file("read", &dir))?;
        for entry in entries {
            let path = entry.map_err(Error::file("read", &dir))?.path();
            match read(&path) {
                Ok(Some(volume)) => {
                    known.insert(volume.name.clone(), volume);
                }
                Ok(None) => {
                    // Half made or half removed.
                    let _ = fs::remove_dir_all(&path);
                }
                // One that is damaged must not keep the others away.
                Err(error) => warn!(path = %path.display(), %error, "cannot read a volume"),
            }
        }
        Ok(Self { dir, known: Mutex::new(known) })
    }

    /// Returns the volume, which is made if there is none, and whether it was.
    pub(crate) fn create(&self, wanted: CreateVolume) -> Result<(Volume, bool)> {
        wanted.validate()?;
        let mut known = self.lock();
        if let Some(volume) = known.get(&wanted.name) {
            return Ok((volume.clone(), false));
        }
        let CreateVolume { mut name, mut labels, options, .. } = wanted;
        if name.is_empty() {
            name = random::id()?;
            labels.insert(ANONYMOUS.into(), String::new());
        }
        let dir = self.dir.join(&name);
        let mut volume = Volume {
            name,
            created: Timestamp::now(),
            labels,
            options,
            mountpoint: dir.join(CONTENT),
        };
        write(&mut volume, &self.dir).inspect_err(|_| {
            // The first failure is the one to tell.
            let _ = fs::remove_dir_all(self.dir.join(MAKING));
        })?;
        known.insert(volume.name.clone(), volume.clone());
        Ok((volume, true))
    }

    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) fn find(&self, name: &str) -> Result<Volume> {
        let known = self.lock();
        known.get(name).cloned().ok_or_else(|| Error::NotFound(no_such(name)))
    }

    pub(crate) fn all(&self) -> Vec<Volume> {
        self.lock().values().cloned().collect()
    }

    /// Removes the volume and its content. The caller knows that nobody uses it.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let mut known = self.lock();
        let dir = self.dir.join(name);
        if !known.contains_key(name) {
            return Err(Error::NotFound(no_such(name)));
        }
        // Without this file it is none, whatever is left.
        let record = dir.join(RECORD);
        match fs::remove_file(&record) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &record)(error));
            }
            _ => known.remove(name),
        };
        drop(known);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::file("remove", &dir)(error))
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        // It is changed by one insertion or removal, the last step of each operation.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn no_such(name: &str) -> String {
    format!("get {name}: no such volume")
}

/// Writes a new volume: whole or not at all.
fn write(volume: &mut Volume, all: &Path) -> Result<()> {
    let making = all.join(MAKING);
    let fail = Error::file("make", &making);
    make_directory(&making, 0o700)
        .and_then(|()| make_directory(&making.join(CONTENT), 0o755))
        .map_err(fail)?;
    let json = serde_json::to_vec_pretty(volume)
        .map_err(|error| Error::internal("cannot encode a volume", error))?;
    let record = making.join(RECORD);
    // A start need not wait for the disk: what is lost with the power was empty.
    let survives = if volume.is_anonymous() { Survives::Kill } else { Survives::PowerCut };
    durable::write(&record, &json, survives).map_err(Error::file("write", &record))?;
    let dir = all.join(&volume.name);
    fs::rename(&making, &dir).map_err(Error::file("make", &dir))
}

/// Reads the volume in `dir`; `None` if it is none.
fn read(dir: &Path) -> Result<Option<Volume>> {
    let path = dir.join(RECORD);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", &path)(error)),
    };
    let mut volume: Volume = serde_json::from_slice(&bytes)
        .map_err(|error| Error::internal(format!("{} is damaged", path.display()), error))?;
    if dir.file_name().is_none_or(|name| name != volume.name.as_str()) {
        let context = format!("{} belongs to another volume", path.display());
        return Err(Error::Internal { context, source: None });
    }
    volume.mountpoint = dir.join(CONTENT);
    Ok(Some(volume))
}

/// Makes a directory with exactly `mode`, unless it is there.
fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
    }
}

const RECORD: &str = "volume.json";
/// Docker's name of it.
const CONTENT: &str = "_data";
/// No volume's name begins with a dot.
const MAKING: &str = ".new";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let all = dir.path().join("volumes");
        let volumes = Volumes::open(all.clone()).unwrap();
        let named = CreateVolume { name: "data".into(), ..CreateVolume::default() };
        let (made, is_new) = volumes.create(named.clone()).unwrap();
        assert!(is_new && made.mountpoint.is_dir() && !made.is_anonymous());
        assert_eq!(volumes.create(named).unwrap(), (made.clone(), false));
        let (anonymous, _) = volumes.create(CreateVolume::default()).unwrap();
        assert!(anonymous.is_anonymous() && anonymous.name.len() == 64);

        // As if killed in the middle of making and of removing one.
        fs::create_dir(all.join(MAKING)).unwrap();
        fs::remove_file(all.join(&anonymous.name).join(RECORD)).unwrap();
        let volumes = Volumes::open(all.clone()).unwrap();
        assert_eq!(volumes.all(), [made]);
        assert_eq!(fs::read_dir(&all).unwrap().count(), 1);

        volumes.remove("data").unwrap();
        let error = volumes.remove("data").unwrap_err();
        assert_eq!(error.to_string(), "get data: no such volume");
        assert_eq!(fs::read_dir(&all).unwrap().count(), 0);
    }
}
