//! The networks that there are: what a user asked for, and where it is kept.

mod store;

use std::collections::BTreeMap;
use std::net::IpAddr;

use hull_netlink::Cidr;
use serde::{Deserialize, Serialize};

use crate::protocol::Segment;

pub use store::{Store, StoreError};

/// A network as it was created.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    pub name: String,
    /// RFC 3339, nanoseconds.
    pub created: String,
    pub driver: Driver,
    /// At most one of IPv4 and one of IPv6.
    #[serde(default)]
    pub subnets: Vec<Subnet>,
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
}

/// How containers of a network are connected.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
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
    /// Its own address: the bits of hosts are zero.
    pub subnet: Cidr,
    pub gateway: IpAddr,
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
        let mtu = self.options.get(MTU).and_then(|text| text.parse().ok());
        Segment {
            id: self.id.clone(),
            gateways: self.subnets.iter().map(gateway).collect(),
            internal: self.internal,
            mtu: mtu.unwrap_or(DEFAULT_MTU),
        }
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
const DEFAULT_MTU: u32 = 1500;
