//! What the guest is given of the host's directories.

use hull_protocol::Shared;
use hull_share::{Server, Share};
use hull_vmm::Machine;

use crate::control::{Failure, FailureCode};
use crate::launch::ShareLaunch;

use super::context::chain;

/// Serves `shares` to the machine, by the `server` that it may have already; without any, nobody
/// listens.
pub(super) fn serve(
    shares: &[ShareLaunch],
    machine: &mut impl Machine,
    server: Option<Server>,
) -> Result<(), Failure> {
    if shares.is_empty() {
        return Ok(());
    }
    let server = match server {
        Some(server) => server,
        None => listen(machine)?,
    };
    let shares: Vec<Share> = shares
        .iter()
        .map(|share| Share {
            source: share.source.clone(),
            read_only: share.read_only,
            limit: share.limit,
            lease: share.lease.clone(),
        })
        .collect();
    server.set(&shares).map_err(|error| failed(chain(&error)))
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
    let shared = |share: &ShareLaunch| Shared { directory: share.directory, fill: share.fill };
    shares.iter().map(shared).collect()
}
