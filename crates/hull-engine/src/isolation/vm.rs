//! A container in a virtual machine of its own, run by a supervisor process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hull_protocol::{Part, Process, Stat, Statistics};
use hull_supervisor::client::{self, Client, ClientError, Control, CopyIn, CopyOut, Liveness};
use hull_supervisor::control::{self, Exec, Settle};
use hull_supervisor::health::Health;
use hull_supervisor::launch::InterfaceLaunch;
use hull_supervisor::{Exit, Launch, State};
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tracing::warn;

use super::pump::{Kind, pump};
use super::{ExecTask, Isolation, Launched, Pipes, Task};
use crate::Result;
use crate::pool::{Pool, Taken};

/// `--isolation vm`.
#[derive(Debug)]
pub(crate) struct VirtualMachines {
    supervisor: PathBuf,
    pool: Arc<Pool>,
}

impl VirtualMachines {
    /// Returns the driver that starts `<supervisor> supervisor <directory>`.
    pub(crate) fn new(supervisor: PathBuf, pool: Arc<Pool>) -> Self {
        Self { supervisor, pool }
    }
}

impl Isolation for VirtualMachines {
    fn launch<'a>(
        &'a self,
        dir: &'a Path,
        launch: &'a Launch,
    ) -> BoxFuture<'a, Result<Box<dyn Launched>, ClientError>> {
        async move {
            let zygote = loop {
                let (waiting, place) = match self.pool.take(launch) {
                    Some(Taken::Machine(waiting, place)) => (waiting, place),
                    Some(Taken::Zygote(place)) => break Some(place),
                    None => break None,
                };
                match waiting.claim(dir).await {
                    Ok(control) => return Ok(Box::new(Booting { control }) as Box<dyn Launched>),
                    // It may have died while it waited, and its supervisor with it.
                    Err(error) => {
                        warn!(%error, "a machine of the pool is of no use");
                        let _ = std::fs::remove_dir_all(&place);
                    }
                }
            };
            let control = client::spawn(&self.supervisor, dir, zygote.as_deref()).await?;
            Ok(Box::new(Booting { control }) as Box<dyn Launched>)
        }
        .boxed()
    }

    fn task(&self, dir: &Path) -> Arc<dyn Task> {
        Arc::new(Machine::new(Client::new(dir)))
    }

    fn recover(&self, dir: &Path) -> Result<Liveness, ClientError> {
        client::recover(dir)
    }
}

/// A supervisor that has been started.
struct Booting {
    control: Control,
}

impl Launched for Booting {
    fn task(&self) -> Arc<dyn Task> {
        Arc::new(Machine::new(self.control.client()))
    }

    fn created(&mut self) -> BoxFuture<'_, Result<(), ClientError>> {
        async move { self.control.created().await.map(drop) }.boxed()
    }

    fn execute(self: Box<Self>) -> BoxFuture<'static, Result<State, ClientError>> {
        self.control.start().boxed()
    }
}

/// A container with a supervisor.
#[derive(Debug)]
pub(crate) struct Machine {
    client: Client,
}

impl Machine {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Task for Machine {
    fn status(&self) -> BoxFuture<'_, Result<State, ClientError>> {
        self.client.status().boxed()
    }

    fn attach(&self, pipes: Pipes) -> BoxFuture<'_, Result<(), ClientError>> {
        async move {
            let attached = self.client.attach(pipes.wanted).await?;
            tokio::spawn(pump(attached, pipes, Kind::Main));
            Ok(())
        }
        .boxed()
    }

    fn exec(&self, exec: Exec, pipes: Pipes) -> BoxFuture<'_, Result<ExecTask, ClientError>> {
        async move {
            let (pid, attached) = self.client.exec(exec).await?;
            let (sender, exit) = oneshot::channel();
            tokio::spawn(async move {
                if let Some(exit) = pump(attached, pipes, Kind::Exec).await {
                    // Nobody asks if the engine is closing.
                    sender.send(exit).ok();
                }
            });
            Ok(ExecTask { pid, exit })
        }
        .boxed()
    }

    fn signal<'a>(
        &'a self,
        exec: Option<&'a str>,
        signal: i32,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        self.client.signal(exec, signal).boxed()
    }

    fn resize<'a>(
        &'a self,
        exec: Option<&'a str>,
        rows: u16,
        columns: u16,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        self.client.resize(exec, rows, columns).boxed()
    }

    fn wait(&self) -> BoxFuture<'_, Result<Exit, ClientError>> {
        self.client.wait().boxed()
    }

    fn settle(&self, settle: Settle) -> BoxFuture<'_, Result<(), ClientError>> {
        self.client.settle(settle).boxed()
    }

    fn connect(&self, interface: InterfaceLaunch) -> BoxFuture<'_, Result<(), ClientError>> {
        self.client.connect(interface).boxed()
    }

    fn disconnect(
        &self,
        network: String,
        interface: String,
    ) -> BoxFuture<'_, Result<(), ClientError>> {
        self.client.disconnect(network, interface).boxed()
    }

    fn pause(&self) -> BoxFuture<'_, Result<(), ClientError>> {
        self.client.pause().boxed()
    }

    fn resume(&self) -> BoxFuture<'_, Result<(), ClientError>> {
        self.client.resume().boxed()
    }

    fn update(&self, resources: Box<RawValue>) -> BoxFuture<'_, Result<(), ClientError>> {
        self.client.update(resources).boxed()
    }

    fn statistics(&self) -> BoxFuture<'_, Result<Statistics, ClientError>> {
        self.client.statistics().boxed()
    }

    fn health(&self, seen: u64) -> BoxFuture<'_, Result<Health, ClientError>> {
        self.client.health(seen).boxed()
    }

    fn processes(&self) -> BoxFuture<'_, Result<Vec<Process>, ClientError>> {
        self.client.processes().boxed()
    }

    fn stat<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Stat, ClientError>> {
        self.client.stat(path).boxed()
    }

    fn copy_in(&self, wanted: control::CopyIn) -> BoxFuture<'_, Result<CopyIn, ClientError>> {
        self.client.copy_in(wanted).boxed()
    }

    fn copy_out(&self, part: Part) -> BoxFuture<'_, Result<CopyOut, ClientError>> {
        self.client.copy_out(part).boxed()
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), ClientError>> {
        self.client.sync().boxed()
    }

    fn destroy(&self) -> BoxFuture<'_, Result<Exit, ClientError>> {
        self.client.destroy().boxed()
    }
}
