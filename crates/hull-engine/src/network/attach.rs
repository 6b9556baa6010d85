//! What a container gets of its networks when it starts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hull_network::Cidr;
use hull_network::ipam::is_link_local;
use hull_network::model::{Driver, Network};
use hull_network::protocol::Endpoint;
use hull_plan::{Link, NetworkFacts};
use hull_supervisor::launch::{InterfaceLaunch, NetworkLaunch, StartFrom};

use super::{Attachment, Attachments, lease};
use crate::container::entry::Container;
use crate::container::record::Record;
use crate::{Engine, Error, Result};

/// A container's networks, ready for its start.
#[derive(Debug, Default)]
pub(crate) struct Connected {
    /// `None`: a loopback interface only.
    pub(crate) launch: Option<NetworkLaunch>,
    /// For the container's files.
    pub(crate) facts: Option<NetworkFacts>,
}

impl Engine {
    /// Gives a container that is about to start its addresses, and keeps them on disk. One that
    /// goes on `from` somewhere has the interfaces that it has there.
    pub(crate) fn connect_for_start(
        &self,
        container: &Arc<Container>,
        record: &Record,
        from: Option<&StartFrom>,
    ) -> Result<Connected> {
        let mut attachments = container.attachments().clone();
        let program = self.inner.settings.supervisor.clone();
        if attachments.list.is_empty() {
            // For networks that it is connected to later.
            let launch = NetworkLaunch { program, ..NetworkLaunch::default() };
            return Ok(Connected { launch: Some(launch), facts: None });
        }
        let before = attachments.clone();
        let mut networks = Vec::new();
        for attachment in &mut attachments.list {
            networks.push(
                self.lease(&container.id, attachment)
                    .map_err(|error| error.within("failed to set up container networking"))?,
            );
        }
        if from.is_none() {
            networks = attachments.number(networks);
        }
        if let Some(StartFrom::Checkpoint { dir, .. }) = from {
            attachments.name_as(&Attachments::read(dir, &record.config), &networks);
        }
        if attachments != before {
            attachments.write(&container.dir)?;
            container.set_attachments(attachments.clone());
        }
        let interfaces = interfaces(record, &attachments, &networks);
        let facts = facts(record, &networks, &interfaces);
        let ports = super::ports::publish(&record.config, &attachments, &networks)?;
        let launch = NetworkLaunch { program, interfaces, ports };
        Ok(Connected { launch: Some(launch), facts: Some(facts) })
    }

    /// Gives a container its addresses in one network.
    pub(super) fn lease(&self, container: &str, attachment: &mut Attachment) -> Result<Network> {
        let mut inside = self.inner.networks.inside();
        let network = inside.find(&attachment.asked)?.clone();
        if network.config_only {
            return Err(Error::Forbidden(
                "cannot create endpoint on configuration-only network".into(),
            ));
        }
        if network.driver != Driver::Bridge {
            return Err(Error::InvalidParameter(format!(
                "container cannot be connected to network {}",
                network.name
            )));
        }
        let config = &attachment.config;
        let wants_address = config.ipv4_address.is_some() || config.ipv6_address.is_some();
        if wants_address && network.is_predefined() {
            return Err(Error::InvalidParameter(format!(
                "invalid config for network {}: invalid endpoint settings:\n\
                 user-specified IP address is supported on user-defined networks only",
                network.name
            )));
        }
        let is_idle =
            |other: &str| self.inner.containers.find(other).is_ok_and(|other| !other.is_running());
        inside.lease(&network, container, attachment, &is_idle)?;
        Ok(network)
    }
}

/// Returns the container's interfaces; the default routes are through the first networks that lead
/// anywhere, in the order of [`Attachment::rank`].
pub(super) fn interfaces(
    record: &Record,
    attachments: &Attachments,
    networks: &[Network],
) -> Vec<InterfaceLaunch> {
    let mut interfaces: Vec<InterfaceLaunch> = attachments
        .list
        .iter()
        .zip(networks)
        .map(|(attachment, network)| InterfaceLaunch {
            name: attachment.interface.clone(),
            endpoint: endpoint(record, attachment, network),
            gateways: Vec::new(),
        })
        .collect();
    let mut order: Vec<usize> =
        (0..networks.len()).filter(|place| !networks[*place].internal).collect();
    order.sort_by_key(|place| attachments.list[*place].rank(&networks[*place]));
    for v4 in [true, false] {
        let of = |place: &usize| {
            let mut gateways = networks[*place].subnets.iter().map(|subnet| subnet.gateway);
            gateways.find(|gateway| gateway.is_ipv4() == v4).map(|gateway| (*place, gateway))
        };
        if let Some((place, gateway)) = order.iter().find_map(of) {
            interfaces[place].gateways.push(gateway);
        }
    }
    interfaces
}

/// Returns a container's place in a network as the service needs it.
pub(super) fn endpoint(record: &Record, attachment: &Attachment, network: &Network) -> Endpoint {
    Endpoint {
        network: network.segment(),
        // A lease has one.
        mac: attachment.mac.unwrap_or(hull_network::Mac([2; 6])),
        addresses: [lease::with_prefixes(network, attachment), link_local(attachment)].concat(),
        names: names(record, attachment),
        links: links(attachment),
        // Parsed when the container was created.
        resolvers: record.config.host.dns.iter().filter_map(|text| text.parse().ok()).collect(),
    }
}

/// Returns what a container calls others in one network, and what they are called.
fn links(attachment: &Attachment) -> BTreeMap<String, String> {
    let links = attachment.config.links.iter().filter_map(|text| Link::parse(text).ok());
    links.map(|link| (link.alias, link.container)).collect()
}

/// Returns the link-local addresses that a container asks for, with the prefixes that all have.
fn link_local(attachment: &Attachment) -> Vec<Cidr> {
    let prefix = |address: &IpAddr| if address.is_ipv4() { 16 } else { 64 };
    let all = attachment.config.link_local.iter();
    all.map(|address| Cidr { address: *address, prefix: prefix(address) }).collect()
}

/// Returns the names that others in the network find the container by; the first is its own.
pub(crate) fn names(record: &Record, attachment: &Attachment) -> Vec<String> {
    let mut names = vec![record.name.clone()];
    names.extend(attachment.config.aliases.iter().cloned());
    names.push(record.id[..12].to_owned());
    if !record.config.hostname.is_empty() {
        names.push(record.config.hostname.clone());
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// Returns what the container's networks mean for its files.
pub(super) fn facts(
    record: &Record,
    networks: &[Network],
    interfaces: &[InterfaceLaunch],
) -> NetworkFacts {
    let all = interfaces.iter().flat_map(|interface| &interface.endpoint.addresses);
    let gateways = interfaces.iter().flat_map(|interface| &interface.endpoint.network.gateways);
    // As in Docker, whose default network knows no names: who names resolvers asks them himself.
    let asks_others =
        !record.config.host.dns.is_empty() && networks.iter().all(Network::is_predefined);
    // One is enough: the first network's, by IPv4 if it has that.
    let mut nameservers: Vec<IpAddr> = gateways.map(|cidr| cidr.address).collect();
    nameservers.sort_by_key(IpAddr::is_ipv6);
    nameservers.truncate(if asks_others { 0 } else { 1 });
    NetworkFacts {
        addresses: all
            .map(|cidr| cidr.address)
            .filter(|address| !is_link_local(*address))
            .collect(),
        nameservers,
    }
}
