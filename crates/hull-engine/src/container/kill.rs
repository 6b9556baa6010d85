//! Signals, freezing and thawing.

use crate::{Engine, Result, error::Error};

impl Engine {
    /// Sends a signal (name with or without `SIG`, or number) to a container's main process.
    /// Without one, or with SIGKILL, kills it and waits for its end.
    ///
    /// # Errors
    /// No such container, no such signal, or it does not run.
    pub async fn kill(&self, container: &str, signal: Option<&str>) -> Result<()> {
        let _ = (container, signal);
        Err(Error::not_yet("kill"))
    }

    /// Freezes all processes of a container.
    ///
    /// # Errors
    /// No such container; conflict if it does not run or is paused.
    pub async fn pause(&self, container: &str) -> Result<()> {
        let _ = container;
        Err(Error::not_yet("pause"))
    }

    /// Lets the processes of a paused container go on.
    ///
    /// # Errors
    /// No such container; conflict if it is not paused.
    pub async fn unpause(&self, container: &str) -> Result<()> {
        let _ = container;
        Err(Error::not_yet("unpause"))
    }
}
