//! What members and the service say to each other: a line of JSON each, on a unix socket in the
//! state directory. The descriptors of an answer come with its first byte.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hull_netlink::{Cidr, Mac};
use serde::{Deserialize, Serialize};

/// What a member asks for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Connects a container. Answered with a tap for each endpoint.
    Join(Join),
    /// Connects the member's container to one more network. Answered with a tap.
    Connect(Endpoint),
    /// Takes it off the network with this identifier.
    Disconnect { network: String },
    /// Gives the member's container other names, by identifiers of networks.
    Rename(BTreeMap<String, Vec<String>>),
    /// Wants a socket for TCP from which the container called `host`, or with that address, is
    /// reached. Answered with the socket. For the host itself, which needs not be a member.
    Reach { host: String },
    /// Ends the service, if it has no members.
    Quit,
}

/// A container with networks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Join {
    /// 64 hexadecimal digits.
    pub container: String,
    pub endpoints: Vec<Endpoint>,
    #[serde(default)]
    pub ports: Vec<Publish>,
    /// The container has joined before, and its taps are there.
    #[serde(default)]
    pub again: bool,
}

/// A container in one network.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Endpoint {
    pub network: Segment,
    pub mac: Mac,
    /// Its addresses, with the prefixes of the network.
    pub addresses: Vec<Cidr>,
    /// Names that others in the network find it by.
    #[serde(default)]
    pub names: Vec<String>,
    /// Names that only this container knows others by, and what they are called.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// Whom to ask for other names, from inside the network; none: the host's resolvers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<IpAddr>,
}

/// What the service needs to know of a network.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Segment {
    /// 64 hexadecimal digits.
    pub id: String,
    /// What users call it: `web.NAME` is a name for `web` in it.
    #[serde(default)]
    pub name: String,
    /// Name of its bridge; empty: one is made up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bridge: String,
    /// Addresses of its gateway, with the prefixes of the network.
    pub gateways: Vec<Cidr>,
    /// Nothing leaves it.
    #[serde(default)]
    pub internal: bool,
    /// Its containers do not reach each other, only what is outside.
    #[serde(default)]
    pub isolated: bool,
    /// Bytes.
    pub mtu: u32,
}

/// A port that is reached from the host.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Publish {
    /// Addresses of the host to listen on, all with the same port.
    pub hosts: Vec<IpAddr>,
    /// First and last of those of which one is taken; 0: any that is free.
    pub host_ports: (u16, u16),
    /// The container's address.
    pub address: IpAddr,
    pub port: u16,
    pub transport: Transport,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    /// Returns `tcp` or `udp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What the service answers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// `ports` are those of [`Join::ports`], in that order, with the ports that were free.
    Joined {
        ports: Vec<Publish>,
    },
    Reached {
        address: IpAddr,
    },
    Done,
    /// In words for the user.
    Failed {
        message: String,
        hint: Option<String>,
    },
}

/// Names of the service's files.
#[derive(Clone, Debug)]
pub struct Files {
    dir: PathBuf,
}

impl Files {
    /// Returns those in the state directory `home`.
    pub fn new(home: &Path) -> Self {
        Self { dir: home.join("networks") }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Held by flock(2) for as long as the service lives.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("service.lock")
    }

    /// Name of the socket in the directory.
    pub const SOCKET: &str = "service.sock";

    /// Standard error of the service.
    pub fn log(&self) -> PathBuf {
        self.dir.join("service.log")
    }

    /// Process in the namespace, for the service that comes next.
    pub fn door(&self) -> PathBuf {
        self.dir.join("door")
    }

    /// A file of each member, which says where it holds the namespace.
    pub fn holders(&self) -> PathBuf {
        self.dir.join("holders")
    }
}

/// Bytes of the longest line.
pub const LONGEST: usize = 1 << 20;
