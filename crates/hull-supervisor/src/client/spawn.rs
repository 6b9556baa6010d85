//! Starts a supervisor.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;

use hull_protocol::Kind;
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::control::{Answered, Notice, Operation};
use crate::descriptors;
use crate::paths;
use crate::state::{State, Timings};
use crate::wire::parse;

use super::connection::Connection;
use super::{Client, ClientError};

/// Starts `HULL supervisor DIR` for the container in `dir`, whose [`crate::Launch`] has been
/// written, and returns when its socket listens. Its standard input is the control connection.
///
/// # Errors
/// [`ClientError::Spawn`]; [`ClientError::Failed`] if it cannot run, for example because another
/// one holds the container's lock; [`ClientError::Gone`] if it ended without a word.
pub async fn spawn(hull: &Path, dir: &Path) -> Result<Control, ClientError> {
    let fail = |source| ClientError::Spawn { program: hull.to_owned(), source };
    let (ours, theirs) = StdUnixStream::pair().map_err(fail)?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(dir.join(paths::SUPERVISOR_LOG))
        .map_err(fail)?;
    let mut command = Command::new(hull);
    descriptors::keep_standard_only(&mut command);
    let mut child = command
        .arg("supervisor")
        .arg(dir)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(false)
        .spawn()
        .map_err(fail)?;
    let pid = child.id();
    // Reaps it, whenever it ends.
    tokio::spawn(async move { child.wait().await });
    let mut control = Control::new(ours, dir).map_err(fail)?;
    control.pid = pid;
    match control.notice().await? {
        Notice::Listening => Ok(control),
        Notice::Failed(failure) => Err(failure.into()),
        Notice::Created(_) => Err(ClientError::Unexpected),
    }
}

/// The connection that a new supervisor inherits. Dropping it before [`Control::start`] ends the
/// supervisor and leaves nothing running.
#[derive(Debug)]
pub struct Control {
    connection: Connection,
    client: Client,
    pid: Option<u32>,
}

impl Control {
    /// Returns the control over the supervisor of `dir` that has the other end of `stream`.
    pub fn new(stream: StdUnixStream, dir: &Path) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            connection: Connection::new(UnixStream::from_std(stream)?),
            client: Client::new(dir),
            pid: None,
        })
    }

    /// Returns a client for all other operations, for example an attach before the start.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns the supervisor's process.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Waits until the container is created in its machine and waits for its start.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the reason why it cannot be.
    pub async fn created(&mut self) -> Result<Timings, ClientError> {
        loop {
            match self.notice().await? {
                Notice::Listening => {}
                Notice::Created(timings) => return Ok(timings),
                Notice::Failed(failure) => return Err(failure.into()),
            }
        }
    }

    /// Lets the container execute its program, and returns its state when it has. May be called
    /// before [`Control::created`] has returned.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with [`crate::FailureCode::NoProgram`],
    /// [`crate::FailureCode::NotExecutable`] or another reason.
    pub async fn start(mut self) -> Result<State, ClientError> {
        // A supervisor that has failed meanwhile does not hear it, but has said why.
        let _ = self.connection.send(&Operation::Start).await;
        loop {
            let frame = self.connection.frame().await?;
            match frame.kind {
                Kind::Event => match parse(&frame)? {
                    Notice::Failed(failure) => return Err(failure.into()),
                    Notice::Created(_) | Notice::Listening => {}
                },
                Kind::Response => {
                    return match parse(&frame)? {
                        crate::control::Answer::Ok(Answered::State(state)) => Ok(*state),
                        crate::control::Answer::Ok(_) => Err(ClientError::Unexpected),
                        crate::control::Answer::Error(failure) => Err(failure.into()),
                    };
                }
                _ => return Err(ClientError::Unexpected),
            }
        }
    }

    pub(crate) async fn notice(&mut self) -> Result<Notice, ClientError> {
        let frame = self.connection.frame().await?;
        match frame.kind {
            Kind::Event => Ok(parse(&frame)?),
            _ => Err(ClientError::Unexpected),
        }
    }
}
