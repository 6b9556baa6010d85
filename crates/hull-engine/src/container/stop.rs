//! Stop and restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::info;

use super::entry::Container;
use super::signal;
use super::start::Occasion;
use super::state::Status;
use super::timings::Stopwatch;
use super::wait::WaitCondition;
use crate::{Engine, Error, Result};

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
        let found = self.inner.containers.find(container)?;
        let context = format!("cannot stop container: {container}");
        self.detached(move |engine| async move {
            engine.wait_for_start(&found).await;
            if found.live().state.status == Status::Restarting {
                engine.stopping(&found, true);
                found.cancel_restart();
                engine.tell(&found, "stop", &[]);
                return Ok(());
            }
            if !found.is_running() {
                return Err(Error::NotModified("container is already stopped".into()));
            }
            let stopped = engine.stop_container(&found, &options).await;
            stopped.map_err(|error| error.within(context))
        })
        .await
    }

    /// Stops a container if it runs, and starts it.
    ///
    /// # Errors
    /// Those of [`Engine::stop`] and [`Engine::start`], except for `NotModified`.
    pub async fn restart(&self, container: &str, options: StopOptions) -> Result<()> {
        let found = self.inner.containers.find(container)?;
        let context = format!("Cannot restart container {container}");
        self.detached(move |engine| async move {
            let restarted = engine.restart_container(&found, &options).await;
            restarted.map_err(|error| error.within(context))
        })
        .await
    }

    async fn restart_container(
        &self,
        container: &Arc<Container>,
        options: &StopOptions,
    ) -> Result<()> {
        self.wait_for_start(container).await;
        container.cancel_restart();
        container.restarting.store(true, Ordering::Release);
        let stopped = match container.is_running() {
            true => self.stop_container(container, options).await,
            false => Ok(()),
        };
        container.restarting.store(false, Ordering::Release);
        stopped?;
        match self.start_container(container, Stopwatch::start(), Occasion::Asked).await {
            Ok(()) | Err(Error::NotModified(_)) => {}
            Err(error) => return Err(error),
        }
        self.tell(container, "restart", &[]);
        Ok(())
    }

    /// Stops a running container.
    pub(crate) async fn stop_container(
        &self,
        container: &Arc<Container>,
        options: &StopOptions,
    ) -> Result<()> {
        let record = container.record();
        let signal = options.signal.as_deref().filter(|text| !text.is_empty());
        let number = match signal.or(record.config.stop_signal.as_deref()) {
            Some(text) => signal::parse(text)?,
            None => TERM,
        };
        let timeout = options
            .timeout
            .or(record.config.stop_timeout)
            .unwrap_or(self.inner.settings.stop_timeout);
        let ended = self.waiter(container, WaitCondition::NotRunning).finished();
        tokio::pin!(ended);
        let patience = match self.send_signal(container, number).await {
            Ok(()) => u64::try_from(timeout).ok().map(Duration::from_secs),
            // It is ending, or its guest does not answer: no use in waiting for long.
            Err(_) => Some(Duration::from_secs(2)),
        };
        let gone = match patience {
            Some(patience) => tokio::time::timeout(patience, ended).await.is_ok(),
            None => ended.await.is_ok(),
        };
        if !gone {
            info!(
                container = record.short_id(),
                signal = number,
                "has not ended in time: killing it"
            );
            match self.kill_and_wait(container).await {
                Ok(_) | Err(Error::NotRunning(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.tell(container, "stop", &[]);
        Ok(())
    }
}

const TERM: i32 = 15;
