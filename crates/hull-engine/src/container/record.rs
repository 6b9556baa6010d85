//! What a container was created as: `config.json`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hull_plan::ContainerConfig;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::durable::{self, Survives};
use crate::layout;
use crate::{Error, Result};

/// What a container was created as. Never changes, except for the name and what `update` may.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    /// Format of this file; readers refuse a newer one.
    pub(crate) version: u32,
    pub(crate) id: String,
    /// Without a slash.
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) image: ImageRecord,
    /// Program and arguments as asked for.
    pub(crate) path: String,
    pub(crate) args: Vec<String>,
    /// Merged with what the image says.
    pub(crate) config: ContainerConfig,
}

/// The image that a container was made from, which may have lost its name or be gone.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct ImageRecord {
    /// `sha256:<hex>`.
    pub(crate) id: String,
    pub(crate) os: String,
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) variant: String,
    /// Bytes of its layers, unpacked.
    pub(crate) size: u64,
    /// Its root disk, kept for as long as there is a container that has it.
    pub(crate) root: RootRecord,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct RootRecord {
    /// `sha256:<hex>`, the store's name of it.
    pub(crate) id: String,
    /// Descriptor for the virtual machine monitor. Relative to the state directory if inside it,
    /// so that a moved state directory goes on working.
    pub(crate) disk: PathBuf,
}

impl Record {
    pub(crate) const VERSION: u32 = 1;

    /// First 12 digits of the id.
    pub(crate) fn short_id(&self) -> &str {
        &self.id[..12]
    }

    /// Reads the record in a container's directory; `None` if a power cut left none.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(layout::container::CONFIG);
        let bytes = match fs::read(&path) {
            Ok(bytes) if bytes.is_empty() => return Ok(None),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let record: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Error::internal(format!("{} is damaged", path.display()), error))?;
        if record.version > Self::VERSION {
            return Err(Error::Internal {
                context: format!("{} was written by a newer Hull", path.display()),
                source: None,
            });
        }
        if record.id.len() != 64 || dir.file_name().is_none_or(|name| name != record.id.as_str()) {
            return Err(Error::Internal {
                context: format!("{} belongs to another container", path.display()),
                source: None,
            });
        }
        Ok(Some(record))
    }

    /// Returns what stands for the record in `dir` that cannot be read; `None` if the directory is
    /// no container's.
    pub(crate) fn stand_in(dir: &Path) -> Option<Self> {
        let id = dir.file_name()?.to_str()?;
        if id.len() != 64 || !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let made = fs::metadata(dir).and_then(|metadata| metadata.modified()).ok();
        Some(Self {
            version: Self::VERSION,
            id: id.to_owned(),
            name: id[..12].to_owned(),
            created: made.and_then(|time| time.try_into().ok()).unwrap_or_default(),
            image: ImageRecord::default(),
            path: String::new(),
            args: Vec::new(),
            config: ContainerConfig::default(),
        })
    }

    /// Writes or replaces the record in `dir`. One that goes at its end anyway is not synced.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        self.write_as(dir, self.survives())
    }

    /// Writes the record in `dir`, to be synced later.
    pub(crate) fn write_unsynced(&self, dir: &Path) -> Result<()> {
        self.write_as(dir, Survives::Kill)
    }

    /// Makes the record in `dir` survive a power cut.
    pub(crate) fn sync(dir: &Path) -> io::Result<()> {
        File::open(dir.join(layout::container::CONFIG))?.sync_all()?;
        durable::sync_directory(dir)
    }

    fn write_as(&self, dir: &Path, survives: Survives) -> Result<()> {
        let path = dir.join(layout::container::CONFIG);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::internal("cannot encode a container", error))?;
        durable::replace(&path, &json, survives).map_err(Error::file("write", &path))
    }

    pub(crate) fn survives(&self) -> Survives {
        if self.config.host.auto_remove { Survives::Kill } else { Survives::PowerCut }
    }
}
