//! The daemon's side: starts supervisors, finds those that run, and asks them.

mod attached;
mod connection;
mod copy;
mod liveness;
mod spawn;

use crate::health::Health;
use std::io;
use std::path::{Path, PathBuf};

use hull_protocol::{Part, Process, Stat, Statistics};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::control::{
    self, Answered, Attach, Exec, Exit, Failure, FailureCode, Operation, Settle, Stop,
};
use crate::launch::InterfaceLaunch;
use crate::state::State;

use connection::Connection;

pub use attached::{Attached, Input, Output, Piece};
pub use copy::{CopyIn, CopyOut};
pub use liveness::{Liveness, liveness, recover};
pub use spawn::{Control, Waiting, spawn, spawn_waiting};

/// Asks the supervisor of one container. Every operation makes a connection of its own, so that a
/// client may be cloned and used from many tasks, and dropping a future cancels its operation.
#[derive(Clone, Debug)]
pub struct Client {
    dir: PathBuf,
}

/// A copy of a running container that stands still. Dropping it removes the copy.
#[derive(Debug)]
pub struct Frozen {
    _connection: Connection,
}

impl Client {
    /// Returns a client of the supervisor of the container in `dir`; nothing is connected yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the container's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the container's state as its supervisor has it.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if no supervisor listens; so for all other operations.
    pub async fn status(&self) -> Result<State, ClientError> {
        match self.ask(Operation::Status).await? {
            Answered::State(state) => Ok(*state),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Connects to the standard streams of the container's init process, before or after start.
    pub async fn attach(&self, attach: Attach) -> Result<Attached, ClientError> {
        let mut connection = Connection::open(&self.dir).await?;
        connection.ask(&Operation::Attach(attach)).await?;
        Ok(Attached::new(connection))
    }

    /// Runs one more process and connects to its streams.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with [`FailureCode::NoProgram`] or [`FailureCode::NotExecutable`]
    /// if the program cannot be executed.
    pub async fn exec(&self, exec: Exec) -> Result<(i32, Attached), ClientError> {
        let mut connection = Connection::open(&self.dir).await?;
        match connection.ask(&Operation::Exec(Box::new(exec))).await? {
            Answered::Started { pid } => Ok((pid, Attached::new(connection))),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Sends `signal` to the init process, or to `exec`.
    pub async fn signal(&self, exec: Option<&str>, signal: i32) -> Result<(), ClientError> {
        let exec = exec.map(str::to_owned);
        self.ask(Operation::Signal { exec, signal, all: false }).await.map(drop)
    }

    /// Sets the terminal size of the init process, or of `exec`.
    pub async fn resize(
        &self,
        exec: Option<&str>,
        rows: u16,
        columns: u16,
    ) -> Result<(), ClientError> {
        let exec = exec.map(str::to_owned);
        self.ask(Operation::Resize { exec, rows, columns }).await.map(drop)
    }

    /// Makes a copy of the running container's machine in `dir`, an empty directory. Containers
    /// that start [from](crate::Launch::from) `dir` go on from there, until the result is dropped.
    ///
    /// # Errors
    /// [`ClientError::Failed`] if it does not run or cannot be copied; it runs on in any case.
    pub async fn fork(&self, dir: &Path) -> Result<Frozen, ClientError> {
        let mut connection = Connection::open(&self.dir).await?;
        match connection.ask(&Operation::Fork { dir: dir.to_owned() }).await? {
            Answered::Done => Ok(Frozen { _connection: connection }),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Writes the running container to `dir`, an empty directory, to be started from there again,
    /// and ends it unless `leave_running` is set.
    ///
    /// # Errors
    /// As [`Client::fork`].
    pub async fn checkpoint(&self, dir: &Path, leave_running: bool) -> Result<(), ClientError> {
        let dir = dir.to_owned();
        self.ask(Operation::Checkpoint { dir, leave_running }).await.map(drop)
    }

    /// Waits until the container has ended and its machine is gone. Works at any time: a
    /// supervisor that has gone left its answer in `state.json`, and one that was killed has
    /// ended its container with exit code 137.
    pub async fn wait(&self) -> Result<Exit, ClientError> {
        match self.ask(Operation::Wait).await {
            Ok(Answered::Exit(exit)) => return Ok(exit),
            Ok(_) => return Err(ClientError::Unexpected),
            Err(ClientError::Failed(failure)) => return Err(ClientError::Failed(failure)),
            Err(_) => {}
        }
        liveness::wait_for_record(&self.dir).await
    }

    /// Changes what the running container knows of its networks.
    pub async fn settle(&self, settle: Settle) -> Result<(), ClientError> {
        self.ask(Operation::Settle(Box::new(settle))).await.map(drop)
    }

    /// Connects the running container to one more network.
    pub async fn connect(&self, interface: InterfaceLaunch) -> Result<(), ClientError> {
        self.ask(Operation::Connect(Box::new(interface))).await.map(drop)
    }

    /// Takes the running container off the network with the identifier `network`.
    pub async fn disconnect(&self, network: String, interface: String) -> Result<(), ClientError> {
        self.ask(Operation::Disconnect { network, interface }).await.map(drop)
    }

    /// Freezes all processes of the container.
    pub async fn pause(&self) -> Result<(), ClientError> {
        self.ask(Operation::Pause).await.map(drop)
    }

    /// Lets a paused container go on.
    pub async fn resume(&self) -> Result<(), ClientError> {
        self.ask(Operation::Resume).await.map(drop)
    }

    /// Returns the container's resource use.
    pub async fn statistics(&self) -> Result<Statistics, ClientError> {
        match self.ask(Operation::Statistics).await? {
            Answered::Statistics(statistics) => Ok(*statistics),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Returns what checks of the container's health have found, once that is not what had the
    /// number `seen`; 0: once there is anything.
    pub async fn health(&self, seen: u64) -> Result<Health, ClientError> {
        match self.ask(Operation::Health { seen }).await? {
            Answered::Health(health) => Ok(*health),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Returns the container's processes.
    pub async fn processes(&self) -> Result<Vec<Process>, ClientError> {
        match self.ask(Operation::Processes).await? {
            Answered::Processes(processes) => Ok(processes),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Changes limits of the running container; `resources` is an OCI `linux.resources` object.
    pub async fn update(&self, resources: Box<RawValue>) -> Result<(), ClientError> {
        self.ask(Operation::Update { resources }).await.map(drop)
    }

    /// Describes `path` in the container, the last component not followed.
    pub async fn stat(&self, path: &str) -> Result<Stat, ClientError> {
        let path = path.to_owned();
        match self.ask(Operation::Stat { path }).await? {
            Answered::Stat(stat) => Ok(stat),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Begins to extract a tar archive into a directory of the container.
    pub async fn copy_in(&self, wanted: control::CopyIn) -> Result<CopyIn, ClientError> {
        let mut connection = Connection::open(&self.dir).await?;
        connection.ask(&Operation::CopyIn(wanted)).await?;
        Ok(CopyIn::new(connection))
    }

    /// Begins to read a part of the container's files.
    pub async fn copy_out(&self, part: Part) -> Result<CopyOut, ClientError> {
        let mut connection = Connection::open(&self.dir).await?;
        connection.ask(&Operation::CopyOut { part }).await?;
        Ok(CopyOut::new(connection))
    }

    /// Has everything that was written in the guest on its disks.
    pub async fn sync(&self) -> Result<(), ClientError> {
        self.ask(Operation::Sync).await.map(drop)
    }

    /// Stops the container: stop signal, time, SIGKILL. Returns when it has ended; a container
    /// that has ended already is no error.
    pub async fn stop(&self, stop: Stop) -> Result<Exit, ClientError> {
        self.end(Operation::Stop(stop)).await
    }

    /// Ends the container's machine at once.
    pub async fn destroy(&self) -> Result<Exit, ClientError> {
        self.end(Operation::Destroy).await
    }

    async fn end(&self, operation: Operation) -> Result<Exit, ClientError> {
        match self.ask(operation).await {
            Ok(Answered::Exit(exit)) => Ok(exit),
            Ok(_) => Err(ClientError::Unexpected),
            Err(ClientError::Failed(failure)) if failure.code != FailureCode::NotRunning => {
                Err(ClientError::Failed(failure))
            }
            Err(_) => liveness::wait_for_record(&self.dir).await,
        }
    }

    async fn ask(&self, operation: Operation) -> Result<Answered, ClientError> {
        Connection::open(&self.dir).await?.ask(&operation).await
    }
}

/// Why asking a supervisor failed.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("the supervisor of this container does not run")]
    Connect(#[source] io::Error),
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error("the supervisor ended")]
    Gone,
    #[error("talking to the supervisor failed")]
    Io(#[from] io::Error),
    #[error("cannot start a supervisor (`{}`)", .program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read the state of the container in `{}`", .dir.display())]
    State {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the supervisor gave an answer that does not fit the question")]
    Unexpected,
}
