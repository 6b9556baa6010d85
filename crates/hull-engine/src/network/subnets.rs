//! Subnets of a network that is made: read, checked, chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hull_network::model::Subnet;
use hull_network::{Cidr, ipam};

use super::{CreateNetwork, Inside, SubnetConfig};
use crate::{Error, Result, random};

/// Subnets that a network uses, and those that it only shows; IPv4 before IPv6, as in Docker.
pub(super) struct Subnets {
    pub(super) used: Vec<Subnet>,
    pub(super) unused: Vec<Subnet>,
}

/// Reads the subnets that are asked for, and chooses those that are not.
pub(super) fn subnets(inside: &Inside, options: &CreateNetwork) -> Result<Subnets> {
    let is_used = |subnet: &Subnet| match subnet.gateway {
        IpAddr::V4(_) => options.ipv4 != Some(false),
        IpAddr::V6(_) => options.ipv6,
    };
    let (mut used, mut unused) = (Vec::<Subnet>::new(), Vec::new());
    for subnet in as_written(options)? {
        if !is_used(&subnet) {
            unused.push(subnet);
            continue;
        }
        let all = inside.all.values().filter(|network| !network.config_only);
        let all = all.flat_map(|network| &network.subnets).chain(&used);
        if all.into_iter().any(|other| other.subnet.overlaps(subnet.subnet)) {
            return Err(Error::Forbidden(
                "Pool overlaps with other one on this address space".into(),
            ));
        }
        if used.iter().any(|other| other.gateway.is_ipv4() == subnet.gateway.is_ipv4()) {
            return Err(Error::Forbidden("bridge driver doesn't support multiple subnets".into()));
        }
        check_addresses(&subnet)?;
        used.push(subnet);
    }
    if options.ipv4 != Some(false) && !used.iter().any(|subnet| subnet.gateway.is_ipv4()) {
        used.insert(0, free_subnet(inside)?);
    }
    if options.ipv6 && !used.iter().any(|subnet| subnet.gateway.is_ipv6()) {
        let seed = u64::from_be_bytes(random::bytes()?) >> 24;
        used.push(plain(ipam::v6_pool(seed, &taken(inside)).ok_or_else(all_taken)?));
    }
    Ok(Subnets { used, unused })
}

/// Reads the subnets that are asked for, whatever others there are.
pub(super) fn as_written(options: &CreateNetwork) -> Result<Vec<Subnet>> {
    let (mut subnets, mut says_more) = (Vec::new(), false);
    for config in &options.subnets {
        match config.subnet.as_str() {
            "" => says_more |= !(config.gateway.is_empty() && config.range.is_empty()),
            _ => subnets.push(parse(config)?),
        }
    }
    if says_more {
        return Err(Error::InvalidParameter(
            "invalid network config:\ninvalid subnet : invalid CIDR block notation".into(),
        ));
    }
    subnets.sort_by_key(|subnet| subnet.gateway.is_ipv6());
    Ok(subnets)
}

/// Returns a subnet of IPv4 that nobody uses, here or on the host.
pub(super) fn free_subnet(inside: &Inside) -> Result<Subnet> {
    Ok(plain(ipam::v4_pool(&taken(inside)).ok_or_else(all_taken)?))
}

fn all_taken() -> Error {
    Error::Forbidden("all predefined address pools have been fully subnetted".into())
}

fn plain(subnet: Cidr) -> Subnet {
    Subnet {
        subnet,
        // Pools have more than one address.
        gateway: ipam::first_host(subnet, None).unwrap_or(subnet.address),
        implied_gateway: false,
        range: None,
        reserved: BTreeMap::new(),
    }
}

fn taken(inside: &Inside) -> Vec<Cidr> {
    let mut taken = ipam::host_networks();
    let networks = inside.all.values().filter(|network| !network.config_only);
    let own = networks.flat_map(|network| &network.subnets);
    taken.extend(own.map(|subnet| subnet.subnet));
    taken
}

/// Refuses addresses that no host can have, and one for two.
fn check_addresses(subnet: &Subnet) -> Result<()> {
    let Subnet { gateway, implied_gateway, .. } = subnet;
    if !ipam::is_host(subnet.subnet, *gateway) {
        return Err(Error::Forbidden(match implied_gateway {
            true => "failed to allocate gateway (): No available addresses on this pool".into(),
            false => format!("failed to allocate gateway ({gateway}): Address already in use"),
        }));
    }
    let mut seen = BTreeSet::from([*gateway]);
    for (name, address) in &subnet.reserved {
        if !ipam::is_host(subnet.subnet, *address) || !seen.insert(*address) {
            return Err(Error::Forbidden(format!(
                "failed to allocate secondary ip address ({name}:{address}): Address already in use"
            )));
        }
    }
    Ok(())
}

fn parse(config: &SubnetConfig) -> Result<Subnet> {
    let invalid = |why: String| Error::InvalidParameter(format!("invalid network config:\n{why}"));
    let cidr = |what: &str, text: &str| -> Result<Cidr> {
        text.parse()
            .map_err(|_| invalid(format!("invalid {what} {text}: invalid CIDR block notation")))
    };
    let inside = |what: &str, text: &str, subnet: Cidr| -> Result<IpAddr> {
        let address =
            text.parse().map_err(|_| invalid(format!("invalid {what} {text}: invalid address")))?;
        if !subnet.contains(address) {
            return Err(invalid(format!("invalid {what} {address}: parent subnet is {subnet}")));
        }
        Ok(address)
    };
    let subnet = cidr("subnet", &config.subnet)?;
    let range = match config.range.as_str() {
        "" => None,
        text => {
            let range = cidr("ip-range", text)?;
            if !subnet.contains(range.address) || range.prefix < subnet.prefix {
                return Err(invalid(format!(
                    "invalid ip-range {range}: parent subnet is {subnet}"
                )));
            }
            Some(range)
        }
    };
    let gateway = match config.gateway.as_str() {
        // None is for a host: refused when the network is made.
        "" => ipam::first_host(subnet, range).unwrap_or_else(|| subnet.network()),
        text => inside("gateway", text, subnet)?,
    };
    let reserved = config
        .reserved
        .iter()
        .map(|(name, text)| Ok((name.clone(), inside("auxiliary address", text, subnet)?)));
    let implied_gateway = config.gateway.is_empty();
    let reserved = reserved.collect::<Result<_>>()?;
    Ok(Subnet { subnet, gateway, implied_gateway, range, reserved })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(configs: &[[&str; 3]], ipv6: bool) -> Result<Vec<String>> {
        let configs = configs.iter().map(|[subnet, range, gateway]| SubnetConfig {
            subnet: (*subnet).to_owned(),
            range: (*range).to_owned(),
            gateway: (*gateway).to_owned(),
            reserved: [("x".into(), subnet.replace("0/24", "9"))]
                .into_iter()
                .filter(|(_, text): &(String, String)| !text.contains('/'))
                .collect(),
        });
        let options =
            CreateNetwork { subnets: configs.collect(), ipv6, ..CreateNetwork::default() };
        let subnets = subnets(&Inside::default(), &options)?;
        let show = |mark: &str, all: &[Subnet]| -> Vec<String> {
            all.iter().map(|one| format!("{mark}{} {}", one.subnet, one.gateway)).collect()
        };
        Ok([show("", &subnets.used), show("-", &subnets.unused)].concat())
    }

    #[test]
    fn subnets_are_as_written_and_ordered() {
        let both = [["fd00::/64", "", ""], ["10.0.0.0/24", "10.0.0.130/25", ""]];
        assert_eq!(made(&both, true).unwrap(), ["10.0.0.0/24 10.0.0.128", "fd00::/64 fd00::1"]);
        assert_eq!(made(&both, false).unwrap()[1], "-fd00::/64 fd00::1");
        assert_eq!(made(&[["10.0.0.7/25", "", ""]], false).unwrap(), ["10.0.0.7/25 10.0.0.1"]);
    }

    #[test]
    fn addresses_are_for_hosts_and_for_one() {
        for config in [
            ["10.0.0.0/31", "", ""],
            ["10.0.0.0/32", "", ""],
            ["10.0.0.0/25", "", "10.0.0.127"],
            ["10.0.0.0/24", "", "10.0.0.9"],
        ] {
            assert!(matches!(made(&[config], false), Err(Error::Forbidden(_))), "{config:?}");
        }
        assert!(made(&[["fd00::/128", "", ""]], true).is_err());
        assert!(made(&[["10.0.0.0/24", "10.0.0.0/23", ""]], false).is_err());
    }
}
