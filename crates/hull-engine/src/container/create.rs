//! Creation.

use hull_plan::ContainerConfig;

use crate::{Engine, Result, error::Error};

/// What to create.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// `None`: one is made up. A leading slash is ignored.
    pub name: Option<String>,
    pub config: ContainerConfig,
}

/// A container that has been created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Created {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Sentences for the user.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Creates a container from an image that is here.
    ///
    /// # Errors
    /// No such image; the configuration cannot be honoured; the name is in use.
    pub async fn create(&self, options: CreateOptions) -> Result<Created> {
        let _ = options;
        Err(Error::not_yet("create"))
    }
}
