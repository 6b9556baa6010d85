//! Processes and resource use of a running container.

use hull_protocol::Statistics;

use crate::{Engine, Result, error::Error};

/// A process table, as `ps` prints it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Top {
    pub titles: Vec<String>,
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// Lists the processes of a container.
    ///
    /// # Errors
    /// No such container, or it does not run.
    pub async fn top(&self, container: &str) -> Result<Top> {
        let _ = container;
        Err(Error::not_yet("top"))
    }

    /// Measures the resource use of a container; `None` if it does not run.
    ///
    /// # Errors
    /// No such container.
    pub async fn statistics(&self, container: &str) -> Result<Option<Statistics>> {
        let _ = container;
        Err(Error::not_yet("statistics"))
    }
}
