//! Removal.

use crate::{Engine, Result, error::Error};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it if it runs.
    pub force: bool,
    /// Also its anonymous volumes. (They live on the container's own disk today and always go.)
    pub volumes: bool,
}

impl Engine {
    /// Removes a container with all its files.
    ///
    /// # Errors
    /// No such container; conflict if it runs and `force` is not set.
    pub async fn remove(&self, container: &str, options: RemoveOptions) -> Result<()> {
        let _ = (container, options);
        Err(Error::not_yet("remove"))
    }
}
