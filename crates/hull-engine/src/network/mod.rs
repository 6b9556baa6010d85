//! Networks, and the addresses that containers have in them.

mod attach;
mod attachment;
mod configuration;
mod connect;
mod create;
mod lease;
mod links;
mod list;
mod lookup;
mod options;
pub(crate) mod ports;
mod remove;
mod settle;
pub(crate) mod shown;
mod subnets;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hull_network::model::{self, Driver, Network, Store};
use jiff::Timestamp;
use tracing::error;

use crate::container::entry::Container;
use crate::{Error, Result, random};

pub use create::{CreateNetwork, SubnetConfig};
pub use hull_network::model::{Driver as NetworkDriver, Network as NetworkConfig, Subnet};
pub use list::{NetworkContainer, NetworkInfo};
pub use shown::{ContainerEndpoint, PublishedPort};

pub(crate) use attachment::{Attachment, Attachments};

/// All networks and leases. Its lock is held for looking things up and for writing a network's
/// file, never across a wait.
#[derive(Debug)]
pub(crate) struct Networks {
    store: Store,
    inner: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// By identifier.
    all: BTreeMap<String, Network>,
    /// By network: address to container. A container that has ended keeps its own until it is
    /// removed, or somebody asks for that very address.
    leases: BTreeMap<String, BTreeMap<IpAddr, String>>,
}

impl Networks {
    /// Reads the networks of the state directory `home`, and makes those that are always there.
    pub(crate) fn open(home: &Path) -> Result<Self> {
        let store = Store::new(home);
        let failed = |error| Error::internal("cannot read the networks", error);
        let (found, damaged) = store.load().map_err(failed)?;
        for damage in damaged {
            error!("a network is left out: {}", crate::error::one_line(&damage));
        }
        let networks = Self { store, inner: Mutex::default() };
        {
            let mut inside = networks.inside();
            inside.all = found.into_iter().map(|network| (network.id.clone(), network)).collect();
            for name in model::PREDEFINED {
                if !inside.all.values().any(|network| network.name == name) {
                    let network = predefined(name, &inside)?;
                    networks.keep(&mut inside, network)?;
                }
            }
        }
        Ok(networks)
    }

    /// Takes note of the addresses of a container that was found on disk.
    pub(crate) fn adopt(&self, container: &Container) {
        let mut inside = self.inside();
        for attachment in &container.attachments().list {
            for address in attachment.addresses() {
                let leases = inside.leases.entry(attachment.network.clone()).or_default();
                leases.entry(address).or_insert_with(|| container.id.clone());
            }
        }
    }

    /// Gives up all addresses of a container.
    pub(crate) fn release(&self, container: &str) {
        for leases in self.inside().leases.values_mut() {
            leases.retain(|_, holder| holder != container);
        }
    }

    /// Writes a network and takes it into the list.
    fn keep(&self, inside: &mut Inside, network: Network) -> Result<()> {
        self.store
            .save(&network)
            .map_err(|error| Error::internal("cannot keep the network", error))?;
        inside.all.insert(network.id.clone(), network);
        Ok(())
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn predefined(name: &str, inside: &Inside) -> Result<Network> {
    let driver = match name {
        "host" => Driver::Host,
        "none" => Driver::Null,
        _ => Driver::Bridge,
    };
    let (mut subnets, mut options) = (Vec::new(), BTreeMap::new());
    if driver == Driver::Bridge {
        subnets.push(subnets::free_subnet(inside)?);
        options = default_options();
    }
    Ok(Network {
        id: random::id()?,
        name: name.to_owned(),
        created: created(Timestamp::now()),
        driver,
        subnets,
        options,
        ..Network::default()
    })
}

/// What Docker says of its default bridge, as far as it is so here.
fn default_options() -> BTreeMap<String, String> {
    let pairs = [
        ("com.docker.network.bridge.default_bridge", "true"),
        ("com.docker.network.bridge.enable_icc", "true"),
        ("com.docker.network.bridge.enable_ip_masquerade", "true"),
        ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
        ("com.docker.network.bridge.name", "docker0"),
        (model::MTU, "1500"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// RFC 3339 with nanoseconds.
fn created(time: Timestamp) -> String {
    format!("{time:.9}")
}
