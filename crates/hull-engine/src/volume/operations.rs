//! What the API asks for.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{CreateVolume, LOCAL, PrunedVolumes, Volume};
use crate::container::record::Record;
use crate::{Engine, Error, Filters, Result};

impl Engine {
    /// Creates a volume; one that exists is returned as it is.
    ///
    /// # Errors
    /// The name or an option makes no sense, or cannot be honoured.
    pub async fn create_volume(&self, options: CreateVolume) -> Result<Volume> {
        let _gate = self.inner.images_gate.read().await;
        self.make_volume(options)
    }

    pub(super) fn make_volume(&self, options: CreateVolume) -> Result<Volume> {
        let name = options.name.clone();
        let (volume, is_new) = self.inner.volumes.create(options).map_err(|error| match error {
            error @ (Error::InvalidParameter(_) | Error::NotFound(_)) => {
                error.within(format!("create {name}"))
            }
            error => error,
        })?;
        if is_new {
            self.tell_volume("create", &volume.name, &[]);
        }
        Ok(volume)
    }

    /// # Errors
    /// No such volume.
    pub fn volume(&self, name: &str) -> Result<Volume> {
        self.inner.volumes.find(name)
    }

    /// Lists volumes by name. Filters: `dangling`, `driver`, `label`, `label!`, `name`.
    ///
    /// # Errors
    /// An unknown filter.
    pub fn volumes(&self, filters: &Filters) -> Result<Vec<Volume>> {
        filters.validate(&["dangling", "driver", "label", "label!", "name"])?;
        let dangling = filters.boolean("dangling")?;
        let mut volumes = self.inner.volumes.all();
        volumes.retain(|volume| {
            filters.is_exactly("driver", LOCAL)
                && filters.matches("name", &volume.name)
                && has_labels(filters, volume)
                && dangling.is_none_or(|wanted| self.users(&volume.name).is_empty() == wanted)
        });
        Ok(volumes)
    }

    /// Removes a volume that no container has; with `force`, one that does not exist is removed
    /// already.
    ///
    /// # Errors
    /// No such volume; conflict if a container has it.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        let _gate = self.inner.images_gate.write().await;
        let volume = match self.inner.volumes.find(name) {
            Err(Error::NotFound(_)) if force => return Ok(()),
            other => other?,
        };
        let users = self.users(name);
        if !users.is_empty() {
            return Err(Error::Conflict(format!(
                "remove {name}: volume is in use - [{}]",
                users.join(", ")
            )));
        }
        self.delete_volume(&volume.name).await
    }

    /// Removes volumes that no container has: those whose names nobody chose, or with the filter
    /// `all` any. Filters: `all`, `label`, `label!`.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn prune_volumes(&self, filters: &Filters) -> Result<PrunedVolumes> {
        filters.validate(&["all", "label", "label!"])?;
        let all = filters.boolean("all")?.unwrap_or(false);
        let _gate = self.inner.images_gate.write().await;
        let mut pruned = PrunedVolumes::default();
        for volume in self.inner.volumes.all() {
            if !(all || volume.is_anonymous())
                || !has_labels(filters, &volume)
                || !self.users(&volume.name).is_empty()
            {
                continue;
            }
            let size = self.volume_size(&volume).await;
            self.delete_volume(&volume.name).await?;
            pruned.reclaimed += size;
            pruned.names.push(volume.name);
        }
        Ok(pruned)
    }

    /// Returns how many containers have a volume.
    pub fn volume_references(&self, name: &str) -> usize {
        self.users(name).len()
    }

    /// Returns the bytes that a volume takes on the host's disk.
    pub async fn volume_size(&self, volume: &Volume) -> u64 {
        let path = volume.mountpoint.clone();
        tokio::task::spawn_blocking(move || size(&path)).await.unwrap_or_default()
    }

    /// Removes what a container had that has no name and that no other has.
    pub(crate) async fn remove_anonymous_volumes(&self, record: &Record) {
        let points = record.config.mount_points.iter().filter(|point| point.anonymous);
        for point in points {
            if let Err(error) = self.remove_volume(&point.name, true).await {
                // Another container has it.
                tracing::debug!(volume = point.name, %error, "not removed with its container");
            }
        }
    }

    /// Ids of the containers that have a volume.
    fn users(&self, name: &str) -> Vec<String> {
        let containers = self.inner.containers.all();
        let uses =
            |record: &Record| record.config.mount_points.iter().any(|point| point.name == name);
        containers.iter().filter(|c| uses(&c.record())).map(|c| c.id.clone()).collect()
    }

    async fn delete_volume(&self, name: &str) -> Result<()> {
        let (engine, owned) = (self.clone(), name.to_owned());
        tokio::task::spawn_blocking(move || engine.inner.volumes.remove(&owned))
            .await
            .map_err(|error| Error::internal("removing a volume was interrupted", error))??;
        self.tell_volume("destroy", name, &[]);
        Ok(())
    }
}

fn has_labels(filters: &Filters, volume: &Volume) -> bool {
    let mut without = Filters::default();
    for value in filters.values("label!") {
        without.add("label", value);
    }
    filters.all_labels("label", &volume.labels)
        && (without.is_empty() || !without.all_labels("label", &volume.labels))
}

/// Bytes that the files of a tree take, holes left out; what cannot be read counts as nothing.
/// Directories do not count, as with Docker.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if metadata.is_dir() {
        return fs::read_dir(path)
            .map(|entries| entries.flatten().map(|entry| size(&entry.path())).sum())
            .unwrap_or(0);
    }
    // st_blocks counts 512 bytes.
    metadata.len().min(metadata.blocks() * 512)
}
