//! What the guest is given of the host's directories.

use std::path::Path;
use std::time::{Duration, Instant};

use hull_protocol::Shared;
use hull_share::{Resting, Server, Share};
use hull_vmm::Machine;

use crate::control::{Failure, FailureCode};
use crate::launch::ShareLaunch;

use super::context::chain;
use super::handover;

/// Serves `shares` to the machine, by the `server` that it may have already, and returns the
/// server; without any, nobody listens.
pub(super) fn serve(
    shares: &[ShareLaunch],
    machine: &mut impl Machine,
    server: Option<Server>,
) -> Result<Option<Server>, Failure> {
    if shares.iter().all(|share| share.socket.is_some()) {
        return Ok(None);
    }
    let server = match server {
        Some(server) => server,
        None => listen(machine)?,
    };
    server.set(&all(shares)).map_err(|error| failed(chain(&error)))?;
    Ok(Some(server))
}

/// Serves `shares` to a machine whose guest knows them already, as `restore` has it. Takes some
/// milliseconds.
pub(super) async fn resume<T: Send + 'static>(
    shares: &[ShareLaunch],
    machine: &mut impl Machine,
    restore: impl FnOnce(&Server, &[Share]) -> Result<T, Failure> + Send + 'static,
) -> Result<(Server, T), Failure> {
    let server = listen(machine)?;
    let shares = all(shares);
    let restore = move || restore(&server, &shares).map(|restored| (server, restored));
    let restored = tokio::task::spawn_blocking(restore).await;
    restored.map_err(|error| failed(error.to_string()))?
}

/// As [`resume`] has it, with the state that the server of the original offers in `place`.
pub(super) fn take_over(server: &Server, shares: &[Share], place: &Path) -> Result<(), Failure> {
    let state = handover::get(place).map_err(|error| failed(chain(&error)))?;
    server.restore(shares, state).map_err(|error| failed(chain(&error)))
}

/// Stops `machine` at a moment when nothing is on its way between its guest and the server. What
/// this returns keeps the server from saying anything.
pub(super) async fn stop<'a>(
    machine: &mut impl Machine,
    server: Option<&'a Server>,
) -> Result<Option<Resting<'a>>, Failure> {
    let Some(server) = server else {
        machine.pause().await.map_err(|error| failed(chain(&error)))?;
        return Ok(None);
    };
    let rest = || server.rest().map_err(|error| failed(chain(&error)));
    let deadline = Instant::now() + PATIENCE;
    let mut calm = 0;
    while Instant::now() < deadline {
        // A kernel that has something to write back goes on with it as soon as it is answered.
        calm = if rest()?.is_some() { calm + 1 } else { 0 };
        if calm < CALM {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        machine.pause().await.map_err(|error| failed(chain(&error)))?;
        if let Some(resting) = rest()? {
            return Ok(Some(resting));
        }
        machine.resume().await.map_err(|error| failed(chain(&error)))?;
    }
    Err(failed("the container's volumes and bind mounts are in use all the time".to_owned()))
}

fn all(shares: &[ShareLaunch]) -> Vec<Share> {
    let share = |share: &ShareLaunch| Share {
        source: share.source.clone(),
        read_only: share.read_only,
        limit: share.limit,
        lease: share.lease.clone(),
        emptied: share.emptied.clone(),
    };
    // The guest counts without sockets, too.
    shares.iter().filter(|share| share.socket.is_none()).map(share).collect()
}

/// Begins to serve the machine, nothing yet.
pub(super) fn listen(machine: &mut impl Machine) -> Result<Server, Failure> {
    let port = machine
        .take_share()
        .ok_or_else(|| failed("the machine has no port for shared directories".into()))?
        .into_std()
        .map_err(|error| failed(chain(&error)))?;
    Server::new(port).map_err(|error| failed(chain(&error)))
}

fn failed(message: String) -> Failure {
    Failure::new(FailureCode::Failed, message)
}

/// Says to the guest what it is given.
pub(super) fn described(shares: &[ShareLaunch]) -> Vec<Shared> {
    let shared = |share: &ShareLaunch| Shared {
        directory: share.directory,
        socket: share.socket,
        fill: share.fill,
    };
    shares.iter().map(shared).collect()
}

const PAUSE: Duration = Duration::from_millis(2);
/// How often in a row nothing has to be under way before the guest has nothing left to do.
const CALM: u32 = 3;
/// A frozen container has some things to be written at most.
const PATIENCE: Duration = Duration::from_secs(20);
