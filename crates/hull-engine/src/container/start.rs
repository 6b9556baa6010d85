//! Start.

use crate::{Engine, Result, error::Error};

impl Engine {
    /// Starts a container and returns once its program has been executed. Clients that have
    /// attached before are connected before that.
    ///
    /// # Errors
    /// No such container; [`Error::NotModified`] if it runs; [`Error::Start`] if its program
    /// cannot be executed (exit code 126 or 127) or the machine does not start (128).
    pub async fn start(&self, container: &str) -> Result<()> {
        let _ = container;
        Err(Error::not_yet("start"))
    }
}
