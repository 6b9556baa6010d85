//! All about one image.

use hull_plan::ImageConfig;
use jiff::Timestamp;

use crate::{Engine, Result, error::Error};

/// All about one image.
#[derive(Clone, Debug)]
pub struct ImageInspect {
    /// `sha256:<hex>` of the image's configuration.
    pub id: String,
    pub tags: Vec<String>,
    pub digests: Vec<String>,
    pub created: Option<Timestamp>,
    pub author: String,
    pub comment: String,
    pub config: ImageConfig,
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
        let _ = image;
        Err(Error::not_yet("inspecting images"))
    }
}
