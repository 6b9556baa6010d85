//! Waiting for a container's end.

use crate::{Engine, Result, error::Error};

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WaitCondition {
    /// It does not run (at once, if so now).
    #[default]
    NotRunning,
    /// It ends the next time.
    NextExit,
    /// It is removed.
    Removed,
}

/// How a container ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WaitStatus {
    pub exit_code: i32,
    /// Why it could not start or what went wrong; empty if nothing did.
    pub error: String,
}

/// A wait that has begun: what happens from now on counts.
#[derive(Debug)]
pub struct Waiter {}

impl Waiter {
    /// Waits until the condition holds.
    ///
    /// # Errors
    /// The engine closes.
    pub async fn finished(self) -> Result<WaitStatus> {
        Err(Error::not_yet("wait"))
    }
}

impl Engine {
    /// Begins to wait for a condition. (An API server answers with the headers now and with the
    /// body after [`Waiter::finished`]: clients start the container in between.)
    ///
    /// # Errors
    /// No such container.
    pub async fn wait(&self, container: &str, condition: WaitCondition) -> Result<Waiter> {
        let _ = (container, condition);
        Err(Error::not_yet("wait"))
    }
}
