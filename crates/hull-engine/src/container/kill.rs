//! Signals, freezing and thawing.

use std::sync::Arc;
use std::time::Duration;

use hull_supervisor::FailureCode;
use hull_supervisor::client::ClientError;
use tracing::warn;

use super::entry::Container;
use super::signal;
use super::state::Status;
use super::wait::WaitCondition;
use crate::isolation::Task;
use crate::{Engine, Error, Result};

/// Proof that a container was killed and has ended.
#[derive(Debug)]
pub(crate) struct Killed;

impl Engine {
    /// Sends a signal (name with or without `SIG`, or number) to a container's main process.
    /// Without one, or with SIGKILL, kills it and waits for its end.
    ///
    /// # Errors
    /// No such container, no such signal, or it does not run.
    pub async fn kill(&self, container: &str, signal: Option<&str>) -> Result<()> {
        let context = format!("cannot kill container: {container}");
        let number = match signal {
            None | Some("") => signal::KILL,
            Some(text) => signal::parse(text).map_err(|error| error.within(&*context))?,
        };
        let found = self.inner.containers.find(container);
        let found = found.map_err(|error| error.within(&*context))?;
        self.detached(move |engine| async move {
            engine.wait_for_start(&found).await;
            if found.live().state.status == Status::Restarting {
                engine.stopping(&found, true);
                found.cancel_restart();
                return Ok(());
            }
            if number == signal::KILL {
                engine.kill_and_wait(&found).await.map(drop)
            } else {
                engine.send_signal(&found, number).await
            }
        })
        .await
        .map_err(|error| error.within(context))
    }

    /// Freezes all processes of a container.
    ///
    /// # Errors
    /// No such container; conflict if it does not run or is paused.
    pub async fn pause(&self, container: &str) -> Result<()> {
        let container = self.inner.containers.find(container)?;
        let _gate = container.gate.lock().await;
        if container.live().state.status == Status::Paused {
            return Err(Error::Conflict(format!("container {} is already paused", container.id)));
        }
        let task = self.running_task(&container)?;
        task.pause().await.map_err(|error| failed(&container, error, "cannot pause container"))?;
        container.change(|live| {
            if live.state.status == Status::Running {
                live.state.status = Status::Paused;
            }
        });
        self.tell(&container, "pause", &[]);
        Ok(())
    }

    /// Lets the processes of a paused container go on.
    ///
    /// # Errors
    /// No such container; conflict if it is not paused.
    pub async fn unpause(&self, container: &str) -> Result<()> {
        let container = self.inner.containers.find(container)?;
        let _gate = container.gate.lock().await;
        if container.live().state.status != Status::Paused {
            return Err(Error::Internal {
                // dockerd's answer to this is an internal error too, not a conflict.
                context: format!("Container {} is not paused", container.id),
                source: None,
            });
        }
        self.resume(&container).await
    }

    async fn resume(&self, container: &Arc<Container>) -> Result<()> {
        let task = self.running_task(container)?;
        task.resume()
            .await
            .map_err(|error| failed(container, error, "Cannot unpause container"))?;
        container.change(|live| {
            if live.state.status == Status::Paused {
                live.state.status = Status::Running;
            }
        });
        self.tell(container, "unpause", &[]);
        Ok(())
    }

    /// Kills a container and waits until it has ended; one whose guest does not do what it is told
    /// loses its machine.
    pub(crate) async fn kill_and_wait(&self, container: &Arc<Container>) -> Result<Killed> {
        let ended = self.waiter(container, WaitCondition::NotRunning);
        let task = self.running_task(container)?;
        if let Err(error) = self.send_signal(container, signal::KILL).await {
            if matches!(error, Error::NotRunning(_)) {
                // Ending already; its end is about to be noticed.
            } else {
                warn!(container = &container.id[..12], %error, "cannot kill: ending its machine");
                self.destroy(container, &*task).await;
            }
        }
        let ended = ended.finished();
        tokio::pin!(ended);
        for _ in 0..2 {
            match tokio::time::timeout(KILL_TIMEOUT, &mut ended).await {
                Ok(_) => return Ok(Killed),
                Err(_) => self.destroy(container, &*task).await,
            }
        }
        match tokio::time::timeout(KILL_TIMEOUT, ended).await {
            Ok(_) => Ok(Killed),
            Err(_) => Err(Error::Internal {
                context: "tried to kill container, but did not receive an exit event".into(),
                source: None,
            }),
        }
    }

    async fn destroy(&self, container: &Container, task: &dyn Task) {
        match tokio::time::timeout(KILL_TIMEOUT, task.destroy()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                warn!(container = &container.id[..12], %error, "cannot end its machine");
            }
            Err(_) => warn!(container = &container.id[..12], "its supervisor does not answer"),
        }
    }

    /// Sends a signal to a running container. One that asks it to end thaws it.
    pub(crate) async fn send_signal(&self, container: &Arc<Container>, number: i32) -> Result<()> {
        let task = self.running_task(container)?;
        let stop = container.record().config.stop_signal.clone();
        let ends = match stop {
            Some(stop) if number != signal::KILL => signal::parse(&stop).is_ok_and(|s| s == number),
            _ => true,
        };
        self.stopping(container, ends);
        let sent = tokio::time::timeout(ANSWER_TIMEOUT, task.signal(None, number)).await;
        sent.map_err(|_| Error::Internal {
            context: "the guest does not answer".into(),
            source: None,
        })?
        .map_err(|error| failed(container, error, "Cannot kill container"))?;
        if ends
            && container.live().state.status == Status::Paused
            && let Err(error) = self.resume(container).await
        {
            warn!(container = &container.id[..12], %error, "cannot unpause container");
        }
        self.tell(container, "kill", &[("signal", number.to_string())]);
        Ok(())
    }

    /// Returns the one that runs a container.
    pub(crate) fn running_task(&self, container: &Container) -> Result<Arc<dyn Task>> {
        match container.task() {
            Some(task) if container.is_running() => Ok(task),
            _ if container.live().state.status == Status::Restarting => {
                Err(restarting(&container.id))
            }
            _ => Err(Error::NotRunning(container.id.clone())),
        }
    }

    /// Waits for a start that is under way, so that what follows finds a container that runs.
    pub(crate) async fn wait_for_start(&self, container: &Container) {
        drop(container.gate.lock().await);
    }
}

/// The failure of what needs a container that runs, if it waits to be started again.
pub(crate) fn restarting(container: &str) -> Error {
    Error::Conflict(format!(
        "Container {container} is restarting, wait until the container is running"
    ))
}

/// Translates what a supervisor says about a container that has ended meanwhile.
pub(crate) fn failed(container: &Container, error: ClientError, context: &str) -> Error {
    match error {
        ClientError::Connect(_) | ClientError::Gone => Error::NotRunning(container.id.clone()),
        ClientError::Failed(failure) if failure.code == FailureCode::NotRunning => {
            Error::NotRunning(container.id.clone())
        }
        error => Error::supervisor(format!("{context} {}", container.id))(error),
    }
}

/// Time that a killed container has to end before its machine is ended.
const KILL_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 10_000 });
/// Time that a guest has to take a signal.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
