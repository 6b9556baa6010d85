//! Starts a supervisor.

use std::ffi::OsStr;
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
/// written, and returns when its socket listens. Its standard input is the control connection. Its
/// machine is a clone of the one that waits in the directory `zygote`, if that is given and can be
/// had.
///
/// # Errors
/// [`ClientError::Spawn`]; [`ClientError::Failed`] if it cannot run, for example because another
/// one holds the container's lock; [`ClientError::Gone`] if it ended without a word.
pub async fn spawn(hull: &Path, dir: &Path, zygote: Option<&Path>) -> Result<Control, ClientError> {
    let (stream, pid) = match zygote {
        Some(zygote) => {
            start(hull, &[OsStr::new("--zygote"), zygote.as_os_str(), dir.as_os_str()], dir)?
        }
        None => start(hull, &[dir.as_os_str()], dir)?,
    };
    let mut control = Control::new(stream, dir)
        .map_err(|source| ClientError::Spawn { program: hull.to_owned(), source })?;
    control.pid = pid;
    control.listening().await?;
    Ok(control)
}

/// Starts `HULL supervisor --wait DIR`, which makes a machine as the [`crate::launch::WaitLaunch`]
/// in `dir` says, and returns when the machine waits for its container.
///
/// # Errors
/// As [`spawn`].
pub async fn spawn_waiting(hull: &Path, dir: &Path) -> Result<Waiting, ClientError> {
    let (stream, pid) = start(hull, &[OsStr::new("--wait"), dir.as_os_str()], dir)?;
    let mut control = Control::new(stream, dir)
        .map_err(|source| ClientError::Spawn { program: hull.to_owned(), source })?;
    control.pid = pid;
    match control.notice().await? {
        Notice::Waiting => Ok(Waiting { control, is_zygote: false }),
        Notice::Zygote => Ok(Waiting { control, is_zygote: true }),
        Notice::Failed(failure) => Err(failure.into()),
        Notice::Created(_) | Notice::Listening => Err(ClientError::Unexpected),
    }
}

/// Starts a supervisor with `arguments`; its control connection is its standard input.
fn start(
    hull: &Path,
    arguments: &[&OsStr],
    dir: &Path,
) -> Result<(StdUnixStream, Option<u32>), ClientError> {
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
        .args(arguments)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(false)
        .spawn()
        .map_err(fail)?;
    let pid = child.id();
    // Reaps it, whenever it ends.
    tokio::spawn(async move { child.wait().await });
    Ok((ours, pid))
}

/// A machine that waits for its container. Dropping it ends the machine.
#[derive(Debug)]
pub struct Waiting {
    control: Control,
    is_zygote: bool,
}

impl Waiting {
    /// Returns whether the machine is cloned by whoever is [spawned](spawn) with its directory,
    /// and cannot be claimed.
    pub fn is_zygote(&self) -> bool {
        self.is_zygote
    }

    /// Gives the machine the container in `dir`, whose [`crate::Launch`] has been written. From
    /// here on all is as after [`spawn`].
    ///
    /// # Errors
    /// As [`spawn`]; the container can then be started in another machine.
    pub async fn claim(self, dir: &Path) -> Result<Control, ClientError> {
        let mut control = Control { client: Client::new(dir), ..self.control };
        let claim = Operation::Claim { dir: dir.to_owned() };
        control.connection.send(&claim).await?;
        control.listening().await?;
        Ok(control)
    }

    /// Returns whether the machine still waits.
    pub fn is_alive(&self) -> bool {
        // It says nothing until it is claimed: anything to read is the end.
        let read = self.control.connection.reader.inner().try_read(&mut [0]);
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
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

    /// Waits until the supervisor's socket listens.
    async fn listening(&mut self) -> Result<(), ClientError> {
        match self.notice().await? {
            Notice::Listening => Ok(()),
            Notice::Failed(failure) => Err(failure.into()),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Waits until the container is created in its machine and waits for its start.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the reason why it cannot be.
    pub async fn created(&mut self) -> Result<Timings, ClientError> {
        loop {
            match self.notice().await? {
                Notice::Listening | Notice::Waiting | Notice::Zygote => {}
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
                    Notice::Created(_) | Notice::Listening | Notice::Waiting | Notice::Zygote => {}
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
