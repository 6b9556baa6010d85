//! Removal of images.

use std::collections::BTreeSet;

use hull_registry::Digest;
use hull_store::{ImageUser, RemoveError};
use jiff::Timestamp;

use super::list::created;
use crate::{Engine, Error, Filters, Result};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageRemoveOptions {
    /// Also if several names or ended containers refer to it. Containers keep their files.
    pub force: bool,
    /// Keep the nameless images that it was made on.
    pub no_prune: bool,
}

/// What was done, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Removed {
    /// A name is gone, for example `busybox:latest`.
    Untagged(String),
    /// An image or layer is gone, `sha256:<hex>`.
    Deleted(String),
}

/// What a prune did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PruneReport {
    pub removed: Vec<Removed>,
    /// Bytes on the host that came free.
    pub reclaimed: u64,
}

impl Engine {
    /// Removes a name of an image, and the image when it was the last.
    ///
    /// # Errors
    /// No such image; conflict if containers use it.
    pub async fn image_remove(
        &self,
        image: &str,
        options: ImageRemoveOptions,
    ) -> Result<Vec<Removed>> {
        let _images = self.inner.images_gate.write().await;
        let id = self.image(image)?.id.to_string();
        let users = self.image_users()?;
        let options =
            hull_store::RemoveOptions { force: options.force, no_prune: options.no_prune };
        let removed = self.inner.store.remove(image, options, &users).await?;
        let removed: Vec<_> = removed.into_iter().map(Removed::from).collect();
        for record in &removed {
            match record {
                Removed::Untagged(_) => self.tell_image("untag", &id, &id),
                Removed::Deleted(deleted) if *deleted == id => {
                    self.tell_image("delete", &id, &id);
                }
                // Layers have no events.
                Removed::Deleted(_) => {}
            }
        }
        Ok(removed)
    }

    /// Removes images that no container uses: those without a name, or all with the filter
    /// `dangling=false`; and files that no image or container needs.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn image_prune(&self, filters: &Filters) -> Result<PruneReport> {
        filters.validate(&["dangling", "label", "label!", "until"])?;
        let dangling_only = filters.boolean("dangling")?.unwrap_or(true);
        let until = filters.until()?;
        let used: BTreeSet<_> = self.image_users()?.into_iter().map(|user| user.image).collect();
        let mut report = PruneReport::default();
        for image in self.inner.store.images() {
            let labels = image.config.config.labels.clone().unwrap_or_default();
            let time = created(&image).unwrap_or(Timestamp::UNIX_EPOCH);
            let wanted = !used.contains(&image.id)
                && (!dangling_only || image.is_dangling())
                && until.is_none_or(|until| time <= until)
                && filters.all_labels("label", &labels)
                && !(filters.contains("label!") && filters.all_labels("label!", &labels));
            if !wanted {
                continue;
            }
            let names = match image.is_dangling() {
                true => vec![image.id.to_string()],
                false => image.repo_tags(),
            };
            for name in names {
                match self.image_remove(&name, ImageRemoveOptions::default()).await {
                    Ok(removed) => report.removed.extend(removed),
                    // A container that was made meanwhile, or a name that went with another.
                    Err(error) => tracing::debug!(name, %error, "not pruned"),
                }
            }
        }
        report.reclaimed = self.collect_garbage().await?;
        Ok(report)
    }

    /// Removes files of images that neither an image nor a container needs; returns the bytes
    /// that came free.
    pub(crate) async fn collect_garbage(&self) -> Result<u64> {
        let _images = self.inner.images_gate.write().await;
        let users = self.image_users()?;
        let keep = users.into_iter().filter_map(|user| user.root).collect();
        Ok(self.inner.store.gc(&keep).await?)
    }

    /// Removes what an image that did not come whole has brought, as Docker does.
    pub(super) async fn collect_after_failure(&self) {
        if let Err(error) = self.collect_garbage().await {
            tracing::warn!(%error, "what an image left that did not come is left behind");
        }
    }

    /// Removes what only a container that is gone had of its image, if that is gone too.
    pub(crate) async fn collect_after(&self, image: &str) {
        if self.image_id(image).is_some() {
            return;
        }
        if let Err(error) = self.collect_garbage().await {
            tracing::warn!(image, %error, "cannot remove the files of an image");
        }
    }

    /// Returns what containers have of images.
    fn image_users(&self) -> Result<Vec<ImageUser>> {
        let all = self.inner.containers.all();
        all.iter()
            // Nobody knows any more what a damaged one had.
            .filter(|container| container.damage.is_none())
            .map(|container| {
                let record = container.record();
                Ok(ImageUser {
                    container: record.id.clone(),
                    image: parse_digest(&record.image.id)?,
                    root: Some(parse_digest(&record.image.root.id)?),
                    running: container.live().state.status.is_up(),
                })
            })
            .collect()
    }
}

fn parse_digest(text: &str) -> Result<Digest> {
    text.parse()
        .map_err(|error: hull_registry::DigestError| Error::internal("a container's image", error))
}

impl From<hull_store::Removed> for Removed {
    fn from(removed: hull_store::Removed) -> Self {
        match removed {
            hull_store::Removed::Deleted(digest) => Self::Deleted(digest.to_string()),
            hull_store::Removed::Untagged(name) => Self::Untagged(name),
        }
    }
}

impl From<RemoveError> for Error {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Conflict(message) => Self::Conflict(message),
            RemoveError::Lookup(error) => error.into(),
            RemoveError::Store(error) => error.into(),
            error => Self::internal("cannot remove the image", error),
        }
    }
}
