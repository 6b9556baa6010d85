//! Removal of images.

use crate::{Engine, Filters, Result, error::Error};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageRemoveOptions {
    /// Also if several names or ended containers refer to it. Containers keep their files.
    pub force: bool,
    /// Keep layers that nothing needs.
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
        let _ = (image, options);
        Err(Error::not_yet("removing images"))
    }

    /// Removes images that no container uses: those without a name, or all with the filter
    /// `dangling=false`; and files that no image or container needs.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn image_prune(&self, filters: &Filters) -> Result<PruneReport> {
        let _ = filters;
        Err(Error::not_yet("pruning images"))
    }
}
