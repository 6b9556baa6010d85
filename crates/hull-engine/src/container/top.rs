//! Processes and resource use of a running container.

use hull_protocol::Statistics;
use jiff::Timestamp;

use super::kill::failed;
use crate::{Engine, Error, Result};

mod columns;

use columns::{Seen, columns};

/// A process table, as `ps` prints it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Top {
    pub titles: Vec<String>,
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// Lists the processes of a container as `ps` prints them with `arguments`: `-ef`, `aux`,
    /// `-eo pid,comm` and the like.
    ///
    /// # Errors
    /// No such container, or it does not run; arguments that would need the guest's own `ps`.
    pub async fn top(&self, container: &str, arguments: &str) -> Result<Top> {
        let container = self.inner.containers.find(container)?;
        let task = self.running_task(&container)?;
        let columns = columns(arguments)?;
        let processes = task.processes().await;
        let processes = processes.map_err(|error| failed(&container, error, "cannot list"))?;
        self.tell(&container, "top", &[]);
        let memory = container.record().config.host.memory;
        let seen = Seen { now: Timestamp::now(), memory: super::launch::memory_limit(memory) };
        let row = |process| columns.iter().map(|column| column.cell(process, seen)).collect();
        Ok(Top {
            titles: columns.iter().map(|column| column.title.to_owned()).collect(),
            processes: processes.iter().map(row).collect(),
        })
    }

    /// Measures the resource use of a container; `None` if it does not run.
    ///
    /// # Errors
    /// No such container.
    pub async fn statistics(&self, container: &str) -> Result<Option<Statistics>> {
        let container = self.inner.containers.find(container)?;
        let Ok(task) = self.running_task(&container) else {
            return Ok(None);
        };
        match task.statistics().await {
            Ok(statistics) => Ok(Some(statistics)),
            Err(error) => match failed(&container, error, "cannot measure container") {
                Error::NotRunning(_) => Ok(None),
                error => Err(error),
            },
        }
    }
}
