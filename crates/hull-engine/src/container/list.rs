//! Lists of containers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{inspect::Mount, state::State};
use crate::{Engine, Filters, Result, error::Error};

/// Which containers.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Also those that do not run.
    pub all: bool,
    /// So many of the newest, running or not; 0 and less: all.
    pub limit: i64,
    /// Also say how big they are.
    pub size: bool,
    /// Keys: `ancestor`, `before`, `exited`, `health`, `id`, `is-task`, `isolation`, `label`,
    /// `name`, `network`, `publish`, `expose`, `since`, `status`, `volume`.
    pub filters: Filters,
}

/// A container in a list.
#[derive(Clone, Debug)]
pub struct Summary {
    pub id: String,
    /// Without a slash.
    pub name: String,
    /// As the user gave it, or the image's id if that name now means another image.
    pub image: String,
    /// `sha256:<hex>`.
    pub image_id: String,
    /// Path and arguments.
    pub command: Vec<String>,
    pub created: Timestamp,
    pub labels: BTreeMap<String, String>,
    pub state: State,
    pub network_mode: String,
    pub mounts: Vec<Mount>,
    /// Bytes on the host that the container's own files take; with [`ListOptions::size`].
    pub size_rw: Option<u64>,
    /// Bytes of the image and of the container's own files; with [`ListOptions::size`].
    pub size_root_fs: Option<u64>,
}

impl Engine {
    /// Lists containers, newest first.
    ///
    /// # Errors
    /// An unknown filter or a value that makes no sense.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<Summary>> {
        let _ = options;
        Err(Error::not_yet("list"))
    }
}
