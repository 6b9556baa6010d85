//! Where things lie under the root of a store, and how files get there whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hull_registry::Digest;
use tempfile::{NamedTempFile, TempDir};

use crate::StoreError;

/// The directories of a store.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// Makes what is missing below `root`.
    pub(crate) fn create(root: &Path) -> Result<Self, StoreError> {
        let home = Self { root: root.to_owned() };
        for dir in [home.blobs(), home.layers(), home.roots(), home.tmp()] {
            fs::create_dir_all(&dir).map_err(StoreError::of("create", &dir))?;
        }
        Ok(home)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("images.lock")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images.json")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    pub(crate) fn roots(&self) -> PathBuf {
        self.root.join("roots")
    }

    pub(crate) fn root_disk(&self, id: &Digest) -> PathBuf {
        self.roots().join(id.hex())
    }

    /// The directory of the store's own temporary files; others keep theirs beside it in `tmp`.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp/store")
    }

    /// A file that is gone unless it is published.
    pub(crate) fn temp_file(&self) -> Result<NamedTempFile, StoreError> {
        let tmp = self.tmp();
        NamedTempFile::new_in(&tmp).map_err(StoreError::of("create a file in", &tmp))
    }

    /// A directory that is gone unless it is published.
    pub(crate) fn temp_dir(&self) -> Result<TempDir, StoreError> {
        let tmp = self.tmp();
        TempDir::new_in(&tmp).map_err(StoreError::of("create a directory in", &tmp))
    }

    /// Removes what a killed process left in `tmp`.
    pub(crate) fn clear_tmp(&self) -> Result<(), StoreError> {
        let tmp = self.tmp();
        fs::remove_dir_all(&tmp).map_err(StoreError::of("remove", &tmp))?;
        fs::create_dir_all(&tmp).map_err(StoreError::of("create", &tmp))
    }

    /// Writes a file at once: it has either its old or its new content, whatever happens.
    pub(crate) fn replace(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        let mut file = self.temp_file()?;
        file.write_all(content).map_err(StoreError::of("write", path))?;
        publish_file(file, path)
    }
}

/// Gives a finished file its name.
pub(crate) fn publish_file(file: NamedTempFile, path: &Path) -> Result<(), StoreError> {
    file.as_file().sync_all().map_err(StoreError::of("write", path))?;
    file.persist(path).map_err(|error| StoreError::of("write", path)(error.error))?;
    sync_parent(path)
}

/// Gives a finished file that lies elsewhere in the store its name.
pub(crate) fn publish_path(from: &Path, path: &Path) -> Result<(), StoreError> {
    let publish = || {
        File::open(from)?.sync_all()?;
        fs::rename(from, path)
    };
    publish().map_err(StoreError::of("write", path))?;
    sync_parent(path)
}

/// Gives a finished directory, whose files are on disk, its name. One that is there already, made
/// by someone who was faster, is left as it is.
pub(crate) fn publish_dir(dir: TempDir, path: &Path) -> Result<(), StoreError> {
    sync(dir.path()).map_err(StoreError::of("write", path))?;
    match fs::rename(dir.path(), path) {
        // Nothing is left that could be removed.
        Ok(()) => drop(dir.keep()),
        Err(error) if is_taken(&error) => return Ok(()),
        Err(error) => return Err(StoreError::of("write", path)(error)),
    }
    sync_parent(path)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().unwrap_or(path);
    sync(parent).map_err(StoreError::of("write", parent))
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_published_once() {
        let root = TempDir::new().unwrap();
        let home = Home::create(root.path()).unwrap();
        let path = home.layers().join("x");
        for content in ["first", "second"] {
            let dir = home.temp_dir().unwrap();
            fs::write(dir.path().join("file"), content).unwrap();
            publish_dir(dir, &path).unwrap();
        }
        assert_eq!(fs::read_to_string(path.join("file")).unwrap(), "first");
        assert_eq!(fs::read_dir(home.tmp()).unwrap().count(), 0);
    }

    #[test]
    fn files_are_replaced_whole() {
        let root = TempDir::new().unwrap();
        let home = Home::create(root.path()).unwrap();
        for content in ["first", "second"] {
            home.replace(&home.images(), content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(home.images()).unwrap(), content);
        }
        drop(home.temp_file().unwrap());
        assert_eq!(fs::read_dir(home.tmp()).unwrap().count(), 0);
    }
}
