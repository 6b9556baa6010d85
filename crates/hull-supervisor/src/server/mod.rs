//! The supervisor process.

mod ahead;
mod attach;
mod clock;
mod cloned;
mod connection;
mod console;
mod context;
mod copy;
mod courtesy;
mod daemon;
mod exec;
mod handover;
mod health;
mod hub;
mod identity;
mod kept;
mod log;
mod machine;
mod network;
mod offspring;
mod output;
mod ready;
mod rehearsal;
mod restored;
mod rewire;
mod scratch;
mod shares;
mod sockets;
mod stdin;
mod stop;
mod supervise;
mod template;
#[cfg(test)]
mod tests;
mod trial;
mod waiting;
mod wiring;
mod zygote;

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hull_protocol::Kind;
use hull_socket::Address;
use jiff::Timestamp;
use rustix::fd::OwnedFd;
use rustix::fs::FlockOperation;
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinSet, LocalSet};

use crate::control::{Failure, FailureCode, Notice};
use crate::launch::Launch;
use crate::paths;
use crate::state::Status;
use crate::wire::write_json;

use context::Context;
pub(crate) use context::chain;
use machine::{Launcher, QemuLauncher};

/// Runs the supervisor of the container in `dir` until the container has ended. `control` is the
/// connected socket that the daemon made (standard input in `hull supervisor`). The machine is a
/// clone of the one that waits in the directory `zygote`, if that is given and can be had.
///
/// Makes the calling process a session leader and runs everything on the calling thread, which
/// must be the process's main thread: the VMM dies with it.
///
/// # Errors
/// [`RunError`]; whatever goes wrong with the container itself is recorded in its state instead.
pub fn run(dir: &Path, zygote: Option<&Path>, control: OwnedFd) -> Result<(), RunError> {
    let launcher = QemuLauncher { zygote: zygote.map(Path::to_owned) };
    enter_session(async |control| serve(dir, control, &launcher).await, control)
}

/// Makes a machine as `wait.json` in `dir` says, and waits with it until the daemon gives it a
/// container; then goes on as [`run`] does. Ends when the daemon does.
///
/// # Errors
/// [`RunError`].
pub fn run_waiting(dir: &Path, control: OwnedFd) -> Result<(), RunError> {
    let wait = async |mut control| match waiting::wait(dir, &mut control).await? {
        Some((dir, prepared)) => serve(&dir, control, &prepared).await,
        None => Ok(()),
    };
    enter_session(wait, control)
}

/// Runs `work` in a session and a runtime of its own, with the connection to the daemon.
fn enter_session(
    work: impl AsyncFnOnce(UnixStream) -> Result<(), RunError>,
    control: OwnedFd,
) -> Result<(), RunError> {
    // Fails if the process leads a session already.
    let _ = rustix::process::setsid();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let control = StdUnixStream::from(control);
    control.set_nonblocking(true).map_err(RunError::Control)?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let control = UnixStream::from_std(control).map_err(RunError::Control)?;
        work(control).await
    })
}

/// Why a supervisor cannot do its work.
#[derive(Debug, Error)]
pub enum RunError {
    #[error("the control connection cannot be used")]
    Control(#[source] io::Error),
    #[error("cannot read `{}`", .path.display())]
    Launch {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot listen in `{}`", .dir.display())]
    Listen {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot lock the container in `{}`", .dir.display())]
    Lock {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the container in `{}` has a supervisor already", .dir.display())]
    Locked { dir: PathBuf },
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot write the state of the container in `{}`", .dir.display())]
    State {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What a supervisor holds while its container lives.
struct Office {
    context: Arc<Context>,
    listener: UnixListener,
    lock: File,
}

async fn serve<L: Launcher>(
    dir: &Path,
    mut control: UnixStream,
    launcher: &L,
) -> Result<(), RunError> {
    let Office { context, listener, lock } = match enter(dir).await {
        Ok(office) => office,
        Err(error) => {
            let failure = Failure::new(FailureCode::Failed, chain(&error));
            // The daemon may have gone; the caller reports the error, too.
            let _ = write_json(&mut control, Kind::Event, &Notice::Failed(failure)).await;
            return Err(error);
        }
    };
    let mut clients = JoinSet::new();
    let exit = tokio::select! {
        exit = supervise::supervise(&context, launcher, control) => exit,
        never = connection::serve(&listener, &context, &mut clients) => match never {},
    };

    // Whoever connects from here on finds no socket and reads the record.
    context.set_exit(&exit);
    context.hub.finish(&exit);
    let recorded = context.update(|state| {
        state.status = Status::Exited;
        state.vmm_pid = None;
        state.finished_at = Some(Timestamp::now());
        state.exit = Some(exit.clone());
    });
    let removed = remove(&dir.join(paths::SOCKET));
    drop(listener);
    // Given up before anyone learns of the end: a restart may follow at once.
    drop(lock);
    context.set_record(&exit);
    let served = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(CLIENT_PATIENCE, served).await;
    recorded.and(removed).map_err(|source| RunError::State { dir: dir.to_owned(), source })
}

/// Takes the container over: reads what to run, takes the lock, listens.
async fn enter(dir: &Path) -> Result<Office, RunError> {
    let path = dir.join(paths::LAUNCH);
    let launch: Launch = std::fs::read(&path)
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(crate::wire::invalid))
        .map_err(|source| RunError::Launch { path, source })?;
    let lock = lock(dir).await?;
    let context = Arc::new(Context::new(dir, launch));
    context.update(|_| {}).map_err(|source| RunError::State { dir: dir.to_owned(), source })?;
    let listen = || -> io::Result<UnixListener> {
        remove(&dir.join(paths::SOCKET))?;
        hull_socket::listen(&Address::new(dir, paths::SOCKET)?)
    };
    let listener = listen().map_err(|source| RunError::Listen { dir: dir.to_owned(), source })?;
    Ok(Office { context, listener, lock })
}

/// Takes the container's lock.
async fn lock(dir: &Path) -> Result<File, RunError> {
    let fail = |source| RunError::Lock { dir: dir.to_owned(), source };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(paths::LOCK))
        .map_err(fail)?;
    // Somebody who just looks holds it for a moment.
    for _ in 0..LOCK_ATTEMPTS {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => return Err(fail(error.into())),
        }
    }
    Err(RunError::Locked { dir: dir.to_owned() })
}

/// Removes a file, which need not be there.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const LOCK_ATTEMPTS: u32 = 20;
/// How long attached clients have for what they have not read when the container has ended.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
