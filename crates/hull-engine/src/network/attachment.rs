//! A container's networks on disk: `networks.json` in its directory.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use hull_network::Mac;
use hull_network::model::{DEFAULT, INTERFACE, Network};
use hull_plan::{ContainerConfig, EndpointConfig};
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::durable::{self, Survives};
use crate::{Error, Result};

/// All networks of a container, in the order of its interfaces.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Attachments {
    pub(crate) list: Vec<Attachment>,
    /// Number of the next interface.
    #[serde(default)]
    pub(super) next: u32,
    /// It is in `none`, and so in no other network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) in_none: bool,
}

/// A container in one network.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Attachment {
    /// Identifier of the network; empty until the container has been started in it.
    #[serde(default)]
    pub(crate) network: String,
    /// What the network was called by whoever asked for it.
    pub(crate) asked: String,
    #[serde(default)]
    pub(crate) config: EndpointConfig,
    /// 64 hexadecimal digits; empty before the first start.
    #[serde(default)]
    pub(crate) endpoint: String,
    #[serde(default)]
    pub(crate) mac: Option<Mac>,
    #[serde(default)]
    pub(crate) v4: Option<Ipv4Addr>,
    #[serde(default)]
    pub(crate) v6: Option<Ipv6Addr>,
    /// `eth0` and so on; empty before the first start.
    #[serde(default)]
    pub(crate) interface: String,
}

impl Attachment {
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.map(IpAddr::V4);
        v4.into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// What Docker sorts by that numbers interfaces and looks for a default gateway: the priority,
    /// whether the network leads anywhere, by which protocols, and its name.
    pub(crate) fn rank(&self, network: &Network) -> impl Ord + use<> {
        let has = |v4: bool| network.subnets.iter().any(|net| net.gateway.is_ipv4() == v4);
        let protocols = u8::from(has(true)) + 2 * u8::from(has(false));
        let priority = Reverse(self.config.gateway_priority);
        (priority, network.internal, Reverse(protocols), network.name.clone())
    }
}

impl Attachments {
    /// Returns what a new container asks for.
    pub(crate) fn of(config: &ContainerConfig) -> Self {
        let mode = match config.host.network_mode.as_str() {
            "none" => return Self { in_none: true, ..Self::default() },
            "" | "default" => DEFAULT,
            mode => mode,
        };
        let is_first = |name: &str| name == mode || name == "default" && mode == DEFAULT;
        let first = config.networks.iter().find(|(name, _)| is_first(name));
        let mut settings = first.map(|(_, settings)| settings.clone()).unwrap_or_default();
        if settings.mac_address.is_empty() {
            settings.mac_address.clone_from(&config.mac_address);
        }
        let mut list =
            vec![Attachment { asked: mode.to_owned(), config: settings, ..Attachment::default() }];
        for (name, settings) in config.networks.iter().filter(|(name, _)| !is_first(name)) {
            list.push(Attachment {
                asked: name.clone(),
                config: settings.clone(),
                ..Attachment::default()
            });
        }
        Self { list, ..Self::default() }
    }

    /// Puts them into Docker's order and numbers their interfaces; returns their `networks` in the same
    /// order.
    pub(crate) fn number(&mut self, networks: Vec<Network>) -> Vec<Network> {
        let mut both: Vec<_> = std::mem::take(&mut self.list).into_iter().zip(networks).collect();
        both.sort_by_cached_key(|(attachment, network)| attachment.rank(network));
        self.next = 0;
        let mut others: BTreeMap<String, u32> = BTreeMap::new();
        for (attachment, network) in &mut both {
            let next = match network.interface_prefix() {
                INTERFACE => &mut self.next,
                prefix => others.entry(prefix.to_owned()).or_default(),
            };
            attachment.interface = format!("{}{next}", network.interface_prefix());
            *next += 1;
        }
        let (list, networks) = both.into_iter().unzip();
        self.list = list;
        networks
    }

    /// Returns what a copy of a running container with these has: the same networks and interfaces, and
    /// addresses of its own.
    pub(crate) fn of_copy(&self) -> Self {
        let copy = |attachment: &Attachment| Attachment {
            asked: attachment.asked.clone(),
            config: attachment.config.without_addresses(),
            interface: attachment.interface.clone(),
            ..Attachment::default()
        };
        Self { list: self.list.iter().map(copy).collect(), ..*self }
    }

    /// Calls the interfaces what they are called in a machine that was `saved` with others: those in
    /// the same networks are the same. `networks` are its own, in order.
    pub(crate) fn name_as(&mut self, saved: &Self, networks: &[Network]) {
        for attachment in &mut self.list {
            let is_it = |other: &&Attachment| {
                !other.network.is_empty() && other.network == attachment.network
            };
            let before = saved.list.iter().find(is_it);
            attachment.interface =
                before.map(|before| before.interface.clone()).unwrap_or_default();
        }
        self.next = saved.next;
        for (place, network) in networks.iter().enumerate() {
            if self.list[place].interface.is_empty() {
                self.list[place].interface = self.next_interface(network.interface_prefix());
            }
        }
    }

    /// Returns a name for one more interface: as in Docker, one that there has not been since the
    /// container was started, if it has the usual `prefix`.
    pub(crate) fn next_interface(&mut self, prefix: &str) -> String {
        let number = |one: &Attachment| one.interface.strip_prefix(prefix)?.parse().ok();
        let highest: Option<u32> = self.list.iter().filter_map(number).max();
        let mut next = highest.map_or(0, |highest| highest + 1);
        if prefix == INTERFACE {
            next = next.max(self.next);
            self.next = next + 1;
        }
        format!("{prefix}{next}")
    }

    /// Reads those of the container in `dir`; what it asked for if it has none yet.
    pub(crate) fn read(dir: &Path, config: &ContainerConfig) -> Self {
        let path = dir.join(FILE);
        let read = fs::read(&path)
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
        match read {
            Ok(attachments) => attachments,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::of(config),
            Err(error) => {
                // It gets other addresses, which is better than not to start.
                error!(path = %path.display(), %error, "a container's networks are forgotten");
                Self::of(config)
            }
        }
    }

    /// Keeps them in `dir`.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        self.write_that(dir, Survives::Kill)
    }

    /// As [`Self::write`], for a directory that is worth a sync.
    pub(crate) fn save(&self, dir: &Path) -> Result<()> {
        self.write_that(dir, Survives::PowerCut)
    }

    fn write_that(&self, dir: &Path, survives: Survives) -> Result<()> {
        let path = dir.join(FILE);
        let json = serde_json::to_vec(self)
            .map_err(|error| Error::internal("cannot encode a container's networks", error))?;
        durable::replace(&path, &json, survives).map_err(Error::file("write", &path))
    }
}

const FILE: &str = "networks.json";
