//! Stop and restart.

use crate::{Engine, Result, error::Error};

/// How to stop.
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// Name or number of the first signal; `None`: the container's, SIGTERM if it has none.
    pub signal: Option<String>,
    /// Seconds until SIGKILL, negative: never; `None`: the container's, else the engine's default.
    pub timeout: Option<i64>,
}

impl Engine {
    /// Stops a container: its stop signal, and SIGKILL if it has not ended in time.
    ///
    /// # Errors
    /// No such container, no such signal; [`Error::NotModified`] if it does not run.
    pub async fn stop(&self, container: &str, options: StopOptions) -> Result<()> {
        let _ = (container, options);
        Err(Error::not_yet("stop"))
    }

    /// Stops a container if it runs, and starts it.
    ///
    /// # Errors
    /// Those of [`Engine::stop`] and [`Engine::start`], except for `NotModified`.
    pub async fn restart(&self, container: &str, options: StopOptions) -> Result<()> {
        let _ = (container, options);
        Err(Error::not_yet("restart"))
    }
}
