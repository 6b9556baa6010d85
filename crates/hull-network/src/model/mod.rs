//! The networks that there are: what a user asked for, and where it is kept.

mod store;

use std::collections::BTreeMap;
use std::net::IpAddr;

use hull_netlink::Cidr;
use serde::{Deserialize, Serialize};

use crate::protocol::Segment;

pub use store::{Store, StoreError};

/// A network as it was created.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    pub name: String,
    /// RFC 3339, nanoseconds.
    pub created: String,
    pub driver: Driver,
    /// At most one of IPv4 and one of IPv6, in this order.
    #[serde(default)]
    pub subnets: Vec<Subnet>,
    /// Those of a family that it has not: Docker shows what was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<Subnet>,
    /// Containers have addresses of IPv6.
    #[serde(default)]
    pub ipv6: bool,
    /// Nothing leaves it.
    #[serde(default)]
    pub internal: bool,
    #[serde(default)]
    pub attachable: bool,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    #[serde(default)]
    pub ipam_options: BTreeMap<String, String>,
    /// No network at all, but what others are made from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub config_only: bool,
    /// What it was made from, by name; empty: from what was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub config_from: String,
}

/// How containers of a network are connected.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    #[default]
    Bridge,
    /// The host's own network; listed because clients expect it.
    Host,
    /// None at all.
    Null,
}

impl Driver {
    /// Returns Docker's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
        }
    }
}

/// Addresses of a network.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subnet {
    /// As it was asked for: bits of hosts need not be zero.
    pub subnet: Cidr,
    pub gateway: IpAddr,
    /// Nobody asked for that gateway: Docker does not show it then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implied_gateway: bool,
    /// Where addresses are taken from that nobody asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Cidr>,
    /// Addresses that no container gets, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, IpAddr>,
}

impl Network {
    /// Returns whether it is one of those that are always there.
    pub fn is_predefined(&self) -> bool {
        PREDEFINED.contains(&self.name.as_str())
    }

    /// Returns what the service needs to know.
    pub fn segment(&self) -> Segment {
        let gateway = |subnet: &Subnet| Cidr { address: subnet.gateway, ..subnet.subnet };
        let mtu = self.options.get(MTU).and_then(|text| text.parse().ok()).filter(|mtu| *mtu > 0);
        // What names it on the host does not concern the namespace.
        let bridge = self.options.get(BRIDGE_NAME).filter(|_| !self.is_predefined());
        Segment {
            id: self.id.clone(),
            name: self.name.clone(),
            bridge: bridge.cloned().unwrap_or_default(),
            gateways: self.subnets.iter().map(gateway).collect(),
            // What leaves without being masqueraded finds no way back: it does not leave.
            internal: self.internal || self.is_off(MASQUERADE),
            isolated: self.is_off(TALK),
            mtu: mtu.unwrap_or(DEFAULT_MTU),
        }
    }

    /// Returns whether an option that is on unless something else is said is off.
    fn is_off(&self, option: &str) -> bool {
        self.options.get(option).is_some_and(|value| boolean(value) == Some(false))
    }

    /// Returns the address of the host that ports are published on where nobody says one; `None`: all
    /// of them.
    pub fn host_binding(&self) -> Option<IpAddr> {
        let address: IpAddr = self.options.get(HOST_BINDING)?.parse().ok()?;
        (!address.is_unspecified()).then_some(address)
    }

    /// Returns how the names of its interfaces in containers begin; numbers follow.
    pub fn interface_prefix(&self) -> &str {
        let asked = self.options.get(INTERFACE_PREFIX).map(String::as_str);
        asked.filter(|prefix| !prefix.is_empty()).unwrap_or(INTERFACE)
    }

    /// Returns the subnet of IPv4.
    pub fn v4(&self) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.gateway.is_ipv4())
    }

    /// Returns the subnet of IPv6.
    pub fn v6(&self) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.gateway.is_ipv6())
    }
}

/// The network of containers that ask for none.
pub const DEFAULT: &str = "bridge";
/// Names of the networks that are always there.
pub const PREDEFINED: [&str; 3] = [DEFAULT, "host", "none"];
/// Option that says the MTU, bytes.
pub const MTU: &str = "com.docker.network.driver.mtu";
/// Option that says the name of the bridge.
pub const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// Option that says whether containers reach each other.
pub const TALK: &str = "com.docker.network.bridge.enable_icc";
/// Option that says whether what leaves has the host's address.
pub const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// Option that says on which address of the host ports are published.
pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// Option that says how the names of interfaces in containers begin.
pub const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
/// How they begin where nobody says so.
pub const INTERFACE: &str = "eth";
const DEFAULT_MTU: u32 = 1500;

/// Reads a boolean as Go's `strconv.ParseBool` does.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
