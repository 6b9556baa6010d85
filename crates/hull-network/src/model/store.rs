//! Networks on disk: a file of JSON each.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Network;

/// The directory with the networks of one state directory.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// Returns the store in the state directory `home`; it is made with the first network.
    pub fn new(home: &Path) -> Self {
        Self { dir: home.join("networks") }
    }

    /// Returns all networks, those that can be read: a damaged file is named in the second list and
    /// left alone.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn load(&self) -> Result<(Vec<Network>, Vec<StoreError>), StoreError> {
        let fail = |source| StoreError::Read { path: self.dir.clone(), source };
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(fail(error)),
        };
        let (mut networks, mut damaged) = (Vec::new(), Vec::new());
        for entry in entries {
            let path = entry.map_err(fail)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let read = fs::read(&path)
                .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
            match read {
                Ok(network) => networks.push(network),
                Err(source) => damaged.push(StoreError::Read { path, source }),
            }
        }
        Ok((networks, damaged))
    }

    /// Writes a network; it is there whole, or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, network: &Network) -> Result<(), StoreError> {
        let path = self.path(&network.id);
        let write = || -> io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
            let new = path.with_extension("new");
            let mut file =
                File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec_pretty(network)?)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|source| StoreError::Write { path: path.clone(), source })
    }

    /// Removes a network.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, id: &str) -> Result<(), StoreError> {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Write { path, source })
            }
            _ => Ok(()),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(id).with_extension("json")
    }
}

/// Why networks cannot be read or kept.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("cannot read `{}`", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write `{}`", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Driver;

    #[test]
    fn networks_are_kept_and_damage_is_named() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path());
        assert_eq!(store.load().unwrap().0, []);
        let network = Network {
            id: "ab".repeat(32),
            name: "n".into(),
            created: "2026-01-01T00:00:00Z".into(),
            driver: Driver::Bridge,
            internal: true,
            labels: [("a".into(), "b".into())].into(),
            ..Network::default()
        };
        store.save(&network).unwrap();
        fs::write(home.path().join("networks/x.json"), "{").unwrap();
        let (networks, damaged) = store.load().unwrap();
        assert_eq!((networks, damaged.len()), (vec![network.clone()], 1));
        store.remove(&network.id).unwrap();
        store.remove(&network.id).unwrap();
        assert_eq!(store.load().unwrap().0, []);
    }
}
