//! Addresses of containers.

use std::net::IpAddr;

use hull_network::ipam;
use hull_network::model::{Network, Subnet};
use hull_network::{Cidr, Mac};

use super::{Attachment, Inside};
use crate::{Error, Result, random};

impl Inside {
    /// Gives a container its addresses in a network: those that it asks for, else those that it had,
    /// else any. `is_idle` tells whether a container does not need its addresses now.
    pub(super) fn lease(
        &mut self,
        network: &Network,
        container: &str,
        attachment: &mut Attachment,
        is_idle: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        if attachment.network != network.id {
            *attachment = Attachment {
                network: network.id.clone(),
                asked: attachment.asked.clone(),
                config: attachment.config.clone(),
                endpoint: random::id()?,
                interface: std::mem::take(&mut attachment.interface),
                ..Attachment::default()
            };
        }
        let asked = attachment.config.ipv4_address.map(IpAddr::V4);
        let had = attachment.v4.map(IpAddr::V4);
        attachment.v4 = match self.address(network, network.v4(), container, asked, had, is_idle)? {
            Some(IpAddr::V4(address)) => Some(address),
            _ => None,
        };
        let asked = attachment.config.ipv6_address.map(IpAddr::V6);
        let had = attachment.v6.map(IpAddr::V6);
        attachment.v6 = match self.address(network, network.v6(), container, asked, had, is_idle)? {
            Some(IpAddr::V6(address)) => Some(address),
            _ => None,
        };
        attachment.mac = Some(mac(attachment)?);
        Ok(())
    }

    fn address(
        &mut self,
        network: &Network,
        subnet: Option<&Subnet>,
        container: &str,
        asked: Option<IpAddr>,
        had: Option<IpAddr>,
        is_idle: &dyn Fn(&str) -> bool,
    ) -> Result<Option<IpAddr>> {
        let Some(subnet) = subnet else {
            return match asked {
                Some(asked) => Err(no_subnet(asked)),
                None => Ok(None),
            };
        };
        let leases = self.leases.entry(network.id.clone()).or_default();
        let holder = |address: IpAddr| {
            leases.get(&address).filter(|holder| *holder != container).map(String::as_str)
        };
        let address = match (asked, had) {
            (Some(asked), _) => {
                if !subnet.subnet.contains(asked) {
                    return Err(no_subnet(asked));
                }
                let is_reserved = asked == subnet.gateway
                    || subnet.reserved.values().any(|reserved| *reserved == asked)
                    || !ipam::is_host(subnet.subnet, asked);
                if is_reserved || holder(asked).is_some_and(|other| !is_idle(other)) {
                    return Err(Error::Forbidden("Address already in use".into()));
                }
                asked
            }
            (None, Some(had)) if subnet.subnet.contains(had) && holder(had).is_none() => had,
            (None, _) => ipam::free_address(subnet, |address| holder(address).is_some())
                .ok_or_else(|| {
                    Error::Forbidden(format!(
                        "no available IPv{} addresses on this network's address pools: {} ({})",
                        if subnet.gateway.is_ipv4() { 4 } else { 6 },
                        network.name,
                        network.id
                    ))
                })?,
        };
        leases.retain(|other, holder| {
            holder != container || *other == address || other.is_ipv4() != address.is_ipv4()
        });
        leases.insert(address, container.to_owned());
        Ok(Some(address))
    }
}

/// Returns the addresses of `attachment` with the prefixes of its network.
pub(super) fn with_prefixes(network: &Network, attachment: &Attachment) -> Vec<Cidr> {
    let subnets = &network.subnets;
    let prefix = |address: IpAddr| {
        let subnet = subnets.iter().find(|subnet| subnet.subnet.contains(address));
        subnet.map(|subnet| Cidr { address, ..subnet.subnet })
    };
    attachment.addresses().filter_map(prefix).collect()
}

/// Returns the hardware address: as asked for, or made from the address of IPv4, as Docker does, so
/// that no neighbour remembers another one for it.
fn mac(attachment: &Attachment) -> Result<Mac> {
    let asked = &attachment.config.mac_address;
    if !asked.is_empty() {
        return asked
            .parse()
            .map_err(|_| Error::InvalidParameter(format!("invalid MAC address: {asked}")));
    }
    let [a, b, c, d] = match (attachment.v4, attachment.mac) {
        (Some(address), _) => address.octets(),
        (None, Some(mac)) => return Ok(mac),
        (None, None) => random::bytes()?,
    };
    Ok(Mac([0x02, 0x42, a, b, c, d]))
}

fn no_subnet(address: IpAddr) -> Error {
    Error::InvalidParameter(format!(
        "invalid endpoint settings:\nno configured subnet contains IP address {address}"
    ))
}
