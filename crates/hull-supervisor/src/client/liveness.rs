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
#[expect(clippy::large_enum_variant, reason = "made once and taken apart at once")]
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
    let fail = |source| ClientError::State { dir: dir.to_owned(), source };
    if is_locked(dir).map_err(fail)? {
        return Ok(Liveness::Alive);
    }
    Ok(Liveness::Dead(State::read(dir).map_err(fail)?))
}

/// As [`liveness`], but if the supervisor was killed or its state is damaged, records its
/// container's end in `state.json` (exit code 137) and removes its socket. What cannot be recorded,
/// because the disk is full or read-only, is returned all the same.
///
/// # Errors
/// [`ClientError::State`].
pub fn recover(dir: &Path) -> Result<Liveness, ClientError> {
    let fail = |source| ClientError::State { dir: dir.to_owned(), source };
    if is_locked(dir).map_err(fail)? {
        return Ok(Liveness::Alive);
    }
    let (state, recorded) = match State::read(dir) {
        Ok(None) => return Ok(Liveness::Dead(None)),
        Ok(Some(state)) if state.status == Status::Exited => (state, Ok(())),
        Ok(Some(mut state)) => {
            state.record_killed(Timestamp::now());
            let recorded = state.write(dir);
            (state, recorded)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let state = State::damaged(&error, Timestamp::now());
            let recorded = state.write(dir);
            (state, recorded)
        }
        Err(error) => return Err(fail(error)),
    };
    let removed = match std::fs::remove_file(dir.join(paths::SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    if let Err(error) = recorded.and(removed) {
        tracing::warn!(dir = %dir.display(), %error, "cannot record a container's end");
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
            Liveness::Dead(Some(State { exit: Some(exit), .. })) => return Ok(exit),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_state_is_an_end() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(recover(dir.path()).unwrap(), Liveness::Dead(None));
        for damaged in ["", "{}", "{\"status\":\"exi", "\u{0}\u{0}"] {
            std::fs::write(dir.path().join(paths::STATE), damaged).unwrap();
            let Liveness::Dead(Some(state)) = recover(dir.path()).unwrap() else {
                panic!("{damaged:?}");
            };
            assert_eq!(state.exit.as_ref().map(|exit| exit.code), Some(137));
            assert_eq!(State::read(dir.path()).unwrap(), Some(state));
        }
    }
}
