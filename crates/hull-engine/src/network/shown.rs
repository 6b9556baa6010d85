//! What users see of a container's networks and ports.

use std::net::IpAddr;

use hull_network::Cidr;
use hull_plan::EndpointConfig;

use super::{attach, lease};
use crate::Engine;
use crate::container::entry::{Container, Live};
use crate::container::record::Record;

/// A container in one network. Identifiers and addresses are empty unless it runs.
#[derive(Clone, Debug)]
pub struct ContainerEndpoint {
    /// Name of the network.
    pub network: String,
    pub network_id: String,
    pub id: String,
    pub config: EndpointConfig,
    pub mac: String,
    pub addresses: Vec<Cidr>,
    pub gateways: Vec<IpAddr>,
    /// Names that others find the container by.
    pub names: Vec<String>,
}

/// A port of a running container that is reached from the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublishedPort {
    pub host_ip: IpAddr,
    pub host_port: u16,
    pub port: u16,
    /// `tcp` or `udp`.
    pub transport: &'static str,
}

impl Engine {
    /// Returns the networks of a container as users see them.
    pub(crate) fn endpoints(
        &self,
        container: &Container,
        record: &Record,
        live: &Live,
    ) -> Vec<ContainerEndpoint> {
        let attachments = container.attachments();
        if attachments.in_none {
            return vec![none(self)];
        }
        let mut shown = Vec::new();
        for attachment in attachments.list {
            let found = self.inner.networks.find(match attachment.network.as_str() {
                "" => &attachment.asked,
                id => id,
            });
            let names = attach::names(record, &attachment);
            let config = attachment.config.clone();
            let mut endpoint = ContainerEndpoint {
                network: attachment.asked.clone(),
                network_id: String::new(),
                id: String::new(),
                config,
                mac: attachment.config.mac_address.clone(),
                addresses: Vec::new(),
                gateways: Vec::new(),
                names,
            };
            if let Ok(network) = found {
                // Docker's default network knows no names.
                if network.is_predefined() {
                    endpoint.names.clear();
                }
                if live.state.status.is_running() {
                    endpoint.id.clone_from(&attachment.endpoint);
                    endpoint.mac = attachment.mac.map(|mac| mac.to_string()).unwrap_or_default();
                    endpoint.addresses = lease::with_prefixes(&network, &attachment);
                    let gateways = network.subnets.iter().map(|subnet| subnet.gateway);
                    endpoint.gateways = gateways.collect();
                }
                if !attachment.network.is_empty() {
                    endpoint.network_id.clone_from(&network.id);
                }
                endpoint.network = network.name;
            }
            shown.push(endpoint);
        }
        shown
    }
}

fn none(engine: &Engine) -> ContainerEndpoint {
    let id = engine.inner.networks.find("none").map(|network| network.id).unwrap_or_default();
    ContainerEndpoint {
        network: "none".into(),
        network_id: id,
        id: String::new(),
        config: EndpointConfig::default(),
        mac: String::new(),
        addresses: Vec::new(),
        gateways: Vec::new(),
        names: Vec::new(),
    }
}

/// Returns the published ports of a container as users see them.
pub(crate) fn ports(live: &Live) -> Vec<PublishedPort> {
    if !live.state.status.is_running() {
        return Vec::new();
    }
    let one = |publish: &hull_network::protocol::Publish| {
        let (host_port, _) = publish.host_ports;
        let (port, transport) = (publish.port, publish.transport.name());
        let hosts = publish.hosts.clone().into_iter();
        hosts.map(move |host_ip| PublishedPort { host_ip, host_port, port, transport })
    };
    live.ports.iter().flat_map(one).collect()
}
