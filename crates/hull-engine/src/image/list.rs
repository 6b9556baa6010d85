//! Lists of images.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{Engine, Filters, Result, error::Error};

/// Which images.
#[derive(Clone, Debug, Default)]
pub struct ImageListOptions {
    /// Keys: `before`, `dangling`, `label`, `reference`, `since`, `until`.
    pub filters: Filters,
}

/// An image in a list.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// `sha256:<hex>` of the image's configuration.
    pub id: String,
    /// As Docker prints them, for example `busybox:latest`; none: a dangling image.
    pub tags: Vec<String>,
    /// For example `busybox@sha256:<hex>`.
    pub digests: Vec<String>,
    pub created: Option<Timestamp>,
    /// Bytes of all layers, unpacked.
    pub size: u64,
    pub labels: BTreeMap<String, String>,
    /// Containers that were made from it.
    pub containers: usize,
}

impl Engine {
    /// Lists images, newest first.
    ///
    /// # Errors
    /// An unknown filter or a value that makes no sense.
    pub async fn images(&self, options: ImageListOptions) -> Result<Vec<ImageSummary>> {
        let _ = options;
        Err(Error::not_yet("listing images"))
    }
}
