//! What keeps a container apart from its host and from others: a driver, chosen by name.
//!
//! Everything above this module is common to all drivers. There is no fallback from one to
//! another.

mod process;
mod pump;
mod vm;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hull_protocol::{Part, Process, Stat, Statistics};
use hull_supervisor::client::{ClientError, CopyIn, CopyOut, Liveness};
use hull_supervisor::control::{self, Attach, Exec};
use hull_supervisor::health::Health;
use hull_supervisor::launch::InterfaceLaunch;
use hull_supervisor::{Exit, Launch, State};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use crate::pool::Pool;
use crate::{Chunk, Error, Result, Settings};

pub(crate) use process::Processes;
pub(crate) use vm::VirtualMachines;

/// Runs containers in one way.
pub(crate) trait Isolation: Debug + Send + Sync {
    /// Starts what runs the container in `dir`, up to where clients can connect to its streams.
    /// `launch` has been written there. Dropping the result ends it again.
    fn launch<'a>(
        &'a self,
        dir: &'a Path,
        launch: &'a Launch,
    ) -> BoxFuture<'a, Result<Box<dyn Launched>, ClientError>>;

    /// Returns a handle on the container in `dir`, whether it runs or not.
    fn task(&self, dir: &Path) -> Arc<dyn Task>;

    /// Finds out whether the container in `dir` runs; records the end of one that died unseen.
    fn recover(&self, dir: &Path) -> Result<Liveness, ClientError>;
}

/// A container that has been launched and has not executed its program yet.
pub(crate) trait Launched: Send {
    fn task(&self) -> Arc<dyn Task>;

    /// Waits until everything is ready for the program to be executed.
    fn created(&mut self) -> BoxFuture<'_, Result<(), ClientError>>;

    /// Executes the program; returns when it runs.
    fn execute(self: Box<Self>) -> BoxFuture<'static, Result<State, ClientError>>;
}

/// A running container.
pub(crate) trait Task: Debug + Send + Sync {
    fn status(&self) -> BoxFuture<'_, Result<State, ClientError>>;
    /// Connects `pipes` to the main process; returns once connected.
    fn attach(&self, pipes: Pipes) -> BoxFuture<'_, Result<(), ClientError>>;
    /// Runs one more process with `pipes` as its streams.
    fn exec(&self, exec: Exec, pipes: Pipes) -> BoxFuture<'_, Result<ExecTask, ClientError>>;
    fn signal<'a>(
        &'a self,
        exec: Option<&'a str>,
        signal: i32,
    ) -> BoxFuture<'a, Result<(), ClientError>>;
    fn resize<'a>(
        &'a self,
        exec: Option<&'a str>,
        rows: u16,
        columns: u16,
    ) -> BoxFuture<'a, Result<(), ClientError>>;
    /// Waits until the container has ended and nothing of it runs any more.
    fn wait(&self) -> BoxFuture<'_, Result<Exit, ClientError>>;
    /// Connects the container to one more network.
    fn connect(&self, interface: InterfaceLaunch) -> BoxFuture<'_, Result<(), ClientError>>;
    /// Takes the container off the network with an identifier, where it has `interface`.
    fn disconnect(
        &self,
        network: String,
        interface: String,
    ) -> BoxFuture<'_, Result<(), ClientError>>;
    /// Changes what the container knows of its networks.
    fn settle(&self, settle: control::Settle) -> BoxFuture<'_, Result<(), ClientError>>;
    fn pause(&self) -> BoxFuture<'_, Result<(), ClientError>>;
    fn resume(&self) -> BoxFuture<'_, Result<(), ClientError>>;
    /// Changes limits: an OCI `linux.resources` object.
    fn update(&self, resources: Box<RawValue>) -> BoxFuture<'_, Result<(), ClientError>>;
    fn statistics(&self) -> BoxFuture<'_, Result<Statistics, ClientError>>;
    /// Returns what checks have found, once that is not what had the number `seen`.
    fn health(&self, seen: u64) -> BoxFuture<'_, Result<Health, ClientError>>;
    fn processes(&self) -> BoxFuture<'_, Result<Vec<Process>, ClientError>>;
    /// Describes a path.
    fn stat<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Stat, ClientError>>;
    /// Begins to extract an archive.
    fn copy_in(&self, wanted: control::CopyIn) -> BoxFuture<'_, Result<CopyIn, ClientError>>;
    /// Begins to read a part of the files.
    fn copy_out(&self, part: Part) -> BoxFuture<'_, Result<CopyOut, ClientError>>;
    /// Has everything that was written on the disks.
    fn sync(&self) -> BoxFuture<'_, Result<(), ClientError>>;
    /// Ends the container at once, whatever it does.
    fn destroy(&self) -> BoxFuture<'_, Result<Exit, ClientError>>;
}

/// A process that has been started in a container.
#[derive(Debug)]
pub(crate) struct ExecTask {
    pub(crate) pid: i32,
    /// How it ended; dropped if that is never known because its container died.
    pub(crate) exit: oneshot::Receiver<Exit>,
}

/// The engine's end of a client's streams.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) wanted: Attach,
    pub(crate) input: Option<mpsc::Receiver<InputMessage>>,
    pub(crate) output: mpsc::Sender<Chunk>,
}

/// What a client sends to standard input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum InputMessage {
    Data(Bytes),
    End,
}

/// All drivers.
#[derive(Clone, Debug)]
pub(crate) struct Drivers {
    vm: Arc<dyn Isolation>,
    process: Arc<dyn Isolation>,
}

impl Drivers {
    pub(crate) fn new(settings: &Settings, pool: &Arc<Pool>) -> Self {
        let pool = Arc::clone(pool);
        Self {
            vm: Arc::new(VirtualMachines::new(settings.supervisor.clone(), pool)),
            process: Arc::new(Processes),
        }
    }

    /// Returns drivers of which the one for virtual machines is another.
    #[cfg(test)]
    pub(crate) fn with_vm(vm: Arc<dyn Isolation>) -> Self {
        Self { vm, process: Arc::new(Processes) }
    }

    /// Returns the driver with a name of Docker's `--isolation`.
    pub(crate) fn named(&self, name: &str) -> Result<&Arc<dyn Isolation>> {
        match name {
            "" | "default" | "vm" => Ok(&self.vm),
            "process" => Ok(&self.process),
            _ => Err(Error::InvalidParameter(format!(
                "invalid isolation `{name}`: it is `vm` or `process`"
            ))),
        }
    }
}
