//! All about one image.

use hull_plan::ImageConfig;
use jiff::Timestamp;

use super::list::created;
use super::lookup::plan_config;
use crate::{Engine, Result};

/// All about one image.
#[derive(Clone, Debug)]
pub struct ImageInspect {
    /// `sha256:<hex>` of the image's configuration.
    pub id: String,
    /// The image that it was made on, if that is here; empty if not.
    pub parent: String,
    pub tags: Vec<String>,
    pub digests: Vec<String>,
    pub created: Option<Timestamp>,
    pub author: String,
    pub comment: String,
    pub config: ImageConfig,
    /// Whether the configuration has a list of labels, even one with nothing in it.
    pub has_labels: bool,
    /// For example `amd64`.
    pub architecture: String,
    pub variant: String,
    pub os: String,
    /// Bytes of all layers, unpacked.
    pub size: u64,
    /// Digests of the unpacked layers, lowest first, `sha256:<hex>`.
    pub layers: Vec<String>,
}

impl Engine {
    /// Describes an image, by name, id or unique id prefix.
    ///
    /// # Errors
    /// No such image.
    pub async fn image_inspect(&self, image: &str) -> Result<ImageInspect> {
        let image = self.image(image)?;
        Ok(ImageInspect {
            id: image.id.to_string(),
            parent: self
                .inner
                .store
                .parent(&image.id)
                .map_or_else(String::new, |parent| parent.to_string()),
            tags: image.repo_tags(),
            digests: image.repo_digests(),
            created: created(&image),
            author: image.config.author.clone(),
            comment: image.config.comment.clone(),
            config: plan_config(&image)?,
            has_labels: image.config.config.labels.is_some(),
            architecture: image.platform.architecture.clone(),
            variant: image.platform.variant.clone(),
            os: image.platform.os.clone(),
            size: image.size,
            layers: image.diff_ids.iter().map(ToString::to_string).collect(),
        })
    }
}
