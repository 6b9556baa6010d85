//! Creation.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hull_network::model::{Driver, Network, Subnet};
use hull_network::{Cidr, ipam};
use jiff::Timestamp;

use super::options::{check_bridge, check_options};
use super::{Inside, created};
use crate::{Engine, Error, Result, random};

/// What network to create.
#[derive(Clone, Debug, Default)]
pub struct CreateNetwork {
    pub name: String,
    /// Empty: `bridge`.
    pub driver: String,
    pub internal: bool,
    pub attachable: bool,
    /// `None`: containers have addresses of IPv4.
    pub ipv4: Option<bool>,
    pub ipv6: bool,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    pub ipam_options: BTreeMap<String, String>,
    /// None: a free subnet is chosen.
    pub subnets: Vec<SubnetConfig>,
}

/// Addresses of a network, as a user writes them.
#[derive(Clone, Debug, Default)]
pub struct SubnetConfig {
    pub subnet: String,
    pub range: String,
    pub gateway: String,
    /// By name.
    pub reserved: BTreeMap<String, String>,
}

impl Engine {
    /// Creates a network and returns its identifier.
    ///
    /// # Errors
    /// The name is in use; the addresses make no sense or overlap those of another network.
    pub fn create_network(&self, options: CreateNetwork) -> Result<String> {
        let driver = match options.driver.as_str() {
            "" | "default" | "bridge" => Driver::Bridge,
            "host" | "null" => {
                return Err(Error::Forbidden(format!(
                    "only one instance of \"{}\" network is allowed",
                    options.driver
                )));
            }
            other => {
                return Err(Error::NotFound(format!(
                    "could not find plugin {other} in v1 plugin registry: plugin not found"
                )));
            }
        };
        check_name(&options.name)?;
        if options.ipv4 == Some(false) && !options.ipv6 {
            return Err(Error::InvalidParameter("IPv4 or IPv6 must be enabled".into()));
        }
        check_options(&options)?;
        let networks = &self.inner.networks;
        let mut inside = networks.inside();
        if inside.all.values().any(|network| network.name == options.name) {
            return Err(Error::Conflict(format!(
                "network with name {} already exists",
                options.name
            )));
        }
        check_bridge(&inside, &options)?;
        let network = Network {
            id: random::id()?,
            name: options.name.clone(),
            created: created(Timestamp::now()),
            driver,
            subnets: subnets(&inside, &options)?,
            ipv6: options.ipv6,
            internal: options.internal,
            attachable: options.attachable,
            labels: options.labels,
            options: options.options,
            ipam_options: options.ipam_options,
        };
        let id = network.id.clone();
        networks.keep(&mut inside, network.clone())?;
        drop(inside);
        self.tell_network(&network, "create", &[]);
        Ok(id)
    }
}

/// Returns a subnet of IPv4 that nobody uses, here or on the host.
pub(super) fn free_subnet(inside: &Inside) -> Result<Subnet> {
    let subnet = ipam::v4_pool(&taken(inside)).ok_or_else(|| {
        Error::Forbidden("all predefined address pools have been fully subnetted".into())
    })?;
    Ok(plain(subnet))
}

fn plain(subnet: Cidr) -> Subnet {
    let gateway = ipam::first_host(subnet);
    Subnet { subnet, gateway, implied_gateway: false, range: None, reserved: BTreeMap::new() }
}

fn subnets(inside: &Inside, options: &CreateNetwork) -> Result<Vec<Subnet>> {
    let mut subnets = Vec::new();
    for config in options.subnets.iter().filter(|config| !config.subnet.is_empty()) {
        let subnet = parse(config)?;
        let all = inside.all.values().flat_map(|network| &network.subnets).chain(&subnets);
        if all.into_iter().any(|other| other.subnet.overlaps(subnet.subnet)) {
            return Err(Error::Forbidden(
                "Pool overlaps with other one on this address space".into(),
            ));
        }
        if subnets.iter().any(|other: &Subnet| other.gateway.is_ipv4() == subnet.gateway.is_ipv4())
        {
            return Err(Error::NotImplemented(
                "bridge driver doesn't support multiple subnets".into(),
            ));
        }
        subnets.push(subnet);
    }
    if let Some(config) = options.subnets.iter().find(|config| config.subnet.is_empty())
        && !(config.gateway.is_empty() && config.range.is_empty())
    {
        return Err(Error::InvalidParameter(
            "invalid network config:\ninvalid subnet : invalid CIDR block notation".into(),
        ));
    }
    if options.ipv4 == Some(false) {
        subnets.retain(|subnet| subnet.gateway.is_ipv6());
    } else if !subnets.iter().any(|subnet| subnet.gateway.is_ipv4()) {
        subnets.insert(0, free_subnet(inside)?);
    }
    let has_v6 = subnets.iter().any(|subnet| subnet.gateway.is_ipv6());
    if options.ipv6 && !has_v6 {
        let seed = u64::from_be_bytes(random::bytes()?) >> 24;
        let subnet = ipam::v6_pool(seed, &taken(inside)).ok_or_else(|| {
            Error::Forbidden("all predefined address pools have been fully subnetted".into())
        })?;
        subnets.push(plain(subnet));
    }
    if !options.ipv6 {
        subnets.retain(|subnet| subnet.gateway.is_ipv4());
    }
    Ok(subnets)
}

fn taken(inside: &Inside) -> Vec<Cidr> {
    let mut taken = ipam::host_networks();
    let own = inside.all.values().flat_map(|network| &network.subnets);
    taken.extend(own.map(|subnet| subnet.subnet));
    taken
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
    let network = Cidr { address: subnet.network(), ..subnet };
    if network != subnet {
        return Err(invalid(format!("invalid subnet {subnet}: it should be {network}")));
    }
    let range = match config.range.as_str() {
        "" => None,
        text => {
            let range = cidr("ip-range", text)?;
            if !subnet.contains(range.address) || range.prefix < subnet.prefix {
                return Err(invalid(format!(
                    "invalid ip-range {range}: parent subnet is {subnet}"
                )));
            }
            Some(Cidr { address: range.network(), ..range })
        }
    };
    let gateway = match config.gateway.as_str() {
        "" => ipam::first_host(range.unwrap_or(subnet)),
        text => inside("gateway", text, subnet)?,
    };
    if !config.gateway.is_empty() && !ipam::is_host(subnet, gateway) {
        return Err(Error::Forbidden(format!(
            "failed to allocate gateway ({gateway}): Address already in use"
        )));
    }
    let reserved = config
        .reserved
        .iter()
        .map(|(name, text)| Ok((name.clone(), inside("auxiliary address", text, subnet)?)));
    let implied_gateway = config.gateway.is_empty();
    let reserved = reserved.collect::<Result<_>>()?;
    Ok(Subnet { subnet, gateway, implied_gateway, range, reserved })
}

/// Docker's rule: letters, digits, `_`, `.` and `-`, the first a letter or digit.
fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::InvalidParameter("invalid name: name is empty".into()));
    }
    let fits = |(place, letter): (usize, char)| {
        letter.is_ascii_alphanumeric() || place > 0 && matches!(letter, '_' | '.' | '-')
    };
    if !name.chars().enumerate().all(fits) {
        return Err(Error::InvalidParameter(format!(
            "invalid name: name ({name}) is invalid, only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )));
    }
    if hull_network::model::PREDEFINED.contains(&name) {
        return Err(Error::Forbidden(format!(
            "operation is not permitted on predefined {name} network"
        )));
    }
    Ok(())
}
