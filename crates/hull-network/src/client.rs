//! The side of those who need the service.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hull_socket::Address;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::holder::Note;
use crate::protocol::{Answer, Ask, Endpoint, Files, Join, Publish};
use crate::wire::Wire;

/// A container's connection to the service. Dropping it takes the container off its networks.
#[derive(Debug)]
pub struct Member {
    wire: Wire,
    /// Descriptors of the user and the network namespace: with these the next service finds the
    /// container's taps, even if nobody else has kept it.
    namespace: Vec<OwnedFd>,
    /// Says so to services that somebody else starts.
    _note: Option<Note>,
}

/// What a container gets when it joins.
#[derive(Debug)]
pub struct Joined {
    pub member: Member,
    /// A tap for each endpoint, in their order; none if the container has joined before.
    pub taps: Vec<OwnedFd>,
    /// As in [`Answer::Joined`].
    pub ports: Vec<Publish>,
}

impl Member {
    /// Connects a container to its networks, and starts the service as `<program> network-service
    /// <home>` if it does not run.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn join(program: &Path, home: &Path, join: Join) -> Result<Joined, ClientError> {
        Self::join_in(program, home, join, &[]).await
    }

    /// Connects the container again, as [`Member::join`] does, after the service has gone.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn join_again(
        &self,
        program: &Path,
        home: &Path,
        join: Join,
    ) -> Result<Joined, ClientError> {
        Self::join_in(program, home, join, &self.namespace).await
    }

    async fn join_in(
        program: &Path,
        home: &Path,
        join: Join,
        kept: &[OwnedFd],
    ) -> Result<Joined, ClientError> {
        let ask = Ask::Join(join);
        let mut lives = LIVES;
        loop {
            let wire = start_or_dial(program, home, kept).await?;
            let mut member = Self { wire, namespace: Vec::new(), _note: None };
            match member.ask(&ask).await {
                Ok((Answer::Joined { ports }, mut fds)) if fds.len() >= 2 => {
                    let taps = fds.split_off(2);
                    if let [user, net] = fds.as_slice() {
                        // Without it the next service may have to be told.
                        member._note = Note::write(&Files::new(home), user, net).ok();
                    }
                    member.namespace = fds;
                    return Ok(Joined { member, taps, ports });
                }
                Ok(_) => return Err(ClientError::Unexpected),
                // It was about to die. What it has done for this one has died with it.
                Err(ClientError::Lost(_)) if lives > 1 => lives -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Connects the container to one more network and returns its tap.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect(&mut self, endpoint: Endpoint) -> Result<OwnedFd, ClientError> {
        match self.ask(&Ask::Connect(endpoint)).await? {
            (Answer::Done, taps) => taps.into_iter().next().ok_or(ClientError::Unexpected),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Takes the container off a network. Its tap goes when the machine closes it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn disconnect(&mut self, network: &str) -> Result<(), ClientError> {
        let network = network.to_owned();
        self.ask(&Ask::Disconnect { network }).await.map(drop)
    }

    /// Gives the container other names, by identifiers of networks.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rename(
        &mut self,
        names: BTreeMap<String, Vec<String>>,
    ) -> Result<(), ClientError> {
        self.ask(&Ask::Rename(names)).await.map(drop)
    }

    /// Returns when the service has gone. May be cancelled.
    pub async fn lost(&mut self) {
        // It says nothing unasked.
        while let Ok(Some((Answer::Done, _))) = self.wire.receive().await {}
    }

    async fn ask(&mut self, question: &Ask) -> Result<(Answer, Vec<OwnedFd>), ClientError> {
        ask(&mut self.wire, question).await
    }
}

async fn ask(wire: &mut Wire, ask: &Ask) -> Result<(Answer, Vec<OwnedFd>), ClientError> {
    wire.send(ask, &[]).await.map_err(ClientError::Lost)?;
    match wire.receive().await.map_err(ClientError::Lost)? {
        Some((Answer::Failed { message, hint }, _)) => Err(ClientError::Refused { message, hint }),
        Some(answer) => Ok(answer),
        None => Err(ClientError::Lost(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// Returns the address of the container of `home` that is called `host`, or has that address, and a
/// socket for TCP from which it is reached.
///
/// # Errors
/// [`ClientError`]: the service does not run, or knows no such container.
pub async fn reach(home: &Path, host: &str) -> Result<(IpAddr, OwnedFd), ClientError> {
    let mut wire = dial(&Files::new(home)).await.map_err(ClientError::Lost)?;
    match ask(&mut wire, &Ask::Reach { host: host.to_owned() }).await? {
        (Answer::Reached { address }, fds) => {
            let socket = fds.into_iter().next().ok_or(ClientError::Unexpected)?;
            Ok((address, socket))
        }
        _ => Err(ClientError::Unexpected),
    }
}

/// Ends the service of `home`, if it runs and has no members, and returns when it has gone.
pub async fn quit(home: &Path) {
    let Ok(mut wire) = dial(&Files::new(home)).await else { return };
    if wire.send(&Ask::Quit, &[]).await.is_ok() {
        // It closes the connection with its end.
        let closed = async { while let Ok(Some((Answer::Done, _))) = wire.receive().await {} };
        let _ = tokio::time::timeout(PATIENCE, closed).await;
    }
}

/// Why a container cannot be connected.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("the network service has gone")]
    Lost(#[source] io::Error),
    /// In words for the user.
    #[error("{message}")]
    Refused { message: String, hint: Option<String> },
    #[error("cannot start the network service (`{}`)", .program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the network service gave an answer that does not fit the question")]
    Unexpected,
}

/// Connects to the service, which is started if it does not run.
async fn start_or_dial(program: &Path, home: &Path, kept: &[OwnedFd]) -> Result<Wire, ClientError> {
    let files = Files::new(home);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for attempt in 0..ATTEMPTS {
        match dial(&files).await {
            Ok(wire) => return Ok(wire),
            Err(error) => last = error,
        }
        if attempt > 0 {
            // Another one has the lock and is about to listen, or to end.
            tokio::time::sleep(PAUSE).await;
        }
        start(program, home, kept, &files)
            .await
            .map_err(|source| ClientError::Start { program: program.to_owned(), source })?;
    }
    Err(ClientError::Start { program: program.to_owned(), source: last })
}

async fn dial(files: &Files) -> io::Result<Wire> {
    let address = Address::new(files.dir(), Files::SOCKET)?;
    Ok(Wire::new(UnixStream::connect(address.path()).await?))
}

/// Starts the service and returns when it listens, or has ended because another one runs.
async fn start(program: &Path, home: &Path, kept: &[OwnedFd], files: &Files) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(files.dir())?;
    let log = File::options().create(true).append(true).mode(0o600).open(files.log())?;
    let mut child = Command::new(program)
        .arg("network-service")
        .arg(home)
        .args(kept.iter().map(|fd| {
            let own = std::process::id();
            format!("/proc/{own}/fd/{}", fd.as_raw_fd())
        }))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(false)
        .spawn()?;
    let ready = child.stdout.take();
    // Reaps it, whenever it ends.
    tokio::spawn(async move { child.wait().await });
    if let Some(mut ready) = ready {
        ready.read_to_end(&mut Vec::new()).await?;
    }
    Ok(())
}

/// How many services may die while one joins.
const LIVES: u32 = 3;
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(5);
