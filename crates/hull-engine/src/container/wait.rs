//! Waiting for a container's end.

use std::sync::Arc;

use tokio::sync::watch;

use super::entry::{Container, Live};
use super::state::Timing;
use super::timings;
use crate::{Engine, Error, Result};

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
    /// Phases of the run that ended: the last chance to ask, where the container is removed.
    pub timings: Vec<Timing>,
}

/// A wait that has begun: what happens from now on counts.
#[derive(Debug)]
pub struct Waiter {
    watch: watch::Receiver<Live>,
    condition: WaitCondition,
    ends: u64,
    /// Keeps the sender of `watch` alive.
    _container: Arc<Container>,
}

impl Waiter {
    /// Waits until the condition holds.
    ///
    /// # Errors
    /// None today.
    pub async fn finished(mut self) -> Result<WaitStatus> {
        let (condition, ends) = (self.condition, self.ends);
        let live = self
            .watch
            .wait_for(|live| {
                live.removed
                    || match condition {
                        WaitCondition::NotRunning => {
                            !live.state.status.is_up() || live.ends != ends
                        }
                        WaitCondition::NextExit => live.ends != ends,
                        WaitCondition::Removed => false,
                    }
            })
            .await
            .map_err(|error| Error::internal("the engine is closing", error))?;
        let exit_code =
            if live.ends == ends { live.state.exit_code } else { live.last_end.exit_code };
        Ok(WaitStatus {
            exit_code,
            error: live.last_end.error.clone(),
            timings: timings::merge(&live.engine_timings, &live.supervisor_timings),
        })
    }
}

impl Engine {
    /// Begins to wait for a condition. (An API server answers with the headers now and with the
    /// body after [`Waiter::finished`]: clients start the container in between.)
    ///
    /// # Errors
    /// No such container.
    pub async fn wait(&self, container: &str, condition: WaitCondition) -> Result<Waiter> {
        let container = self.inner.containers.find(container)?;
        Ok(self.waiter(&container, condition))
    }

    pub(crate) fn waiter(&self, container: &Arc<Container>, condition: WaitCondition) -> Waiter {
        let watch = container.watch();
        let ends = watch.borrow().ends;
        Waiter { watch, condition, ends, _container: Arc::clone(container) }
    }
}
