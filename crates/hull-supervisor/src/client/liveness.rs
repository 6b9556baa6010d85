//! Finds out whether a container's supervisor lives, without asking it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::FlockOperation;

use crate::control::Exit;
use crate::paths;
use crate::state::{State, Status};

use super::ClientError;

/// What is left of a container's supervisor.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once and taken apart at once"
)]
pub enum Liveness {
    /// It runs, and [`super::Client`] reaches it (or will in a moment).
    Alive,
    /// It does not run. `None`: it never wrote a state.
    Dead(Option<State>),
}

/// Returns whether the supervisor of the container in `dir` lives. A dead one's state is as it
/// left it.
///
/// # Errors
/// [`ClientError::State`].
pub fn liveness(dir: &Path) -> Result<Liveness, ClientError> {
    let fail = |source| ClientError::State {
        dir: dir.to_owned(),
        source,
    };
    if is_locked(dir).map_err(fail)? {
        return Ok(Liveness::Alive);
    }
    Ok(Liveness::Dead(State::read(dir).map_err(fail)?))
}

/// As [`liveness`], but if the supervisor was killed, records its container's end in `state.json`
/// (exit code 137) and removes its socket.
///
/// # Errors
/// [`ClientError::State`].
pub fn recover(dir: &Path) -> Result<Liveness, ClientError> {
    let fail = |source| ClientError::State {
        dir: dir.to_owned(),
        source,
    };
    let Liveness::Dead(Some(mut state)) = liveness(dir)? else {
        return liveness(dir);
    };
    if state.status != Status::Exited {
        state.record_killed(Timestamp::now());
        state.write(dir).map_err(fail)?;
    }
    match std::fs::remove_file(dir.join(paths::SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    Ok(Liveness::Dead(Some(state)))
}

/// Waits until no supervisor holds the container's lock, and returns how the container ended.
pub(super) async fn wait_for_record(dir: &Path) -> Result<Exit, ClientError> {
    loop {
        match liveness(dir)? {
            Liveness::Alive => {
                let state = State::read(dir).ok().flatten();
                if let Some(exit) = state.and_then(|state| state.exit) {
                    return Ok(exit);
                }
                tokio::time::sleep(POLL).await;
            }
            Liveness::Dead(Some(State {
                exit: Some(exit), ..
            })) => return Ok(exit),
            Liveness::Dead(Some(_)) => return Ok(Exit::supervisor_died()),
            Liveness::Dead(None) => {
                return Err(ClientError::State {
                    dir: dir.to_owned(),
                    source: io::ErrorKind::NotFound.into(),
                });
            }
        }
    }
}

fn is_locked(dir: &Path) -> io::Result<bool> {
    let lock = match File::open(dir.join(paths::LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // A shared lock, given up at once: it cannot make another reader see a supervisor, and a
    // supervisor that enters meanwhile retries.
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

const POLL: Duration = Duration::from_millis(20);
