//! Another name.

use crate::{Engine, Result, error::Error};

impl Engine {
    /// Gives a container another name.
    ///
    /// # Errors
    /// No such container, not a name, or the name is in use.
    pub async fn rename(&self, container: &str, name: &str) -> Result<()> {
        let _ = (container, name);
        Err(Error::not_yet("rename"))
    }
}
