//! Who is called what, and who may know.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::ipam::is_link_local;
use crate::protocol::Endpoint;

/// The names of all containers that run.
#[derive(Debug, Default)]
pub(crate) struct Names {
    members: BTreeMap<u64, Known>,
    /// Makes answers with several addresses begin with another one each time.
    turn: usize,
}

#[derive(Debug)]
struct Known {
    /// 64 hexadecimal digits.
    container: String,
    endpoints: Vec<Endpoint>,
}

impl Names {
    /// Takes in or replaces what is known of a member.
    pub(crate) fn set(&mut self, number: u64, container: &str, endpoints: &[Endpoint]) {
        let known = Known { container: container.to_owned(), endpoints: endpoints.to_vec() };
        self.members.insert(number, known);
    }

    pub(crate) fn remove(&mut self, number: u64) {
        self.members.remove(&number);
    }

    /// Returns the addresses that `name` (lower case) means to who has the address `source`: those
    /// in networks that both are in. `None` if there is no such name.
    pub(crate) fn addresses(&mut self, source: IpAddr, name: &str) -> Option<Vec<IpAddr>> {
        let target = self.target(source, name);
        let name = target.as_deref().unwrap_or(name);
        let networks = self.networks_of(source);
        let mut found: Vec<IpAddr> = self
            .called(name)
            .filter(|endpoint| networks.contains(&endpoint.network.id))
            .flat_map(addresses)
            .collect();
        if found.is_empty() {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn % found.len();
        found.rotate_left(turn);
        Some(found)
    }

    /// Returns the name of the container with `address`, with its network's after it, if who has the
    /// address `source` may know.
    pub(crate) fn name(&self, source: IpAddr, address: IpAddr) -> Option<String> {
        let networks = self.networks_of(source);
        let mut endpoints = self.members.values().flat_map(|known| &known.endpoints);
        let has = |endpoint: &&Endpoint| {
            networks.contains(&endpoint.network.id)
                && endpoint.addresses.iter().any(|cidr| cidr.address == address)
        };
        let endpoint = endpoints.find(has)?;
        let name = endpoint.names.first()?;
        Some(match endpoint.network.name.as_str() {
            "" => name.clone(),
            network => format!("{name}.{network}"),
        })
    }

    /// Returns whom who has the address `source` wants to be asked for names that are nobody's here;
    /// none: the host's resolvers.
    pub(crate) fn resolvers(&self, source: IpAddr) -> Vec<IpAddr> {
        let endpoints = self.member(source).map(|known| known.endpoints.as_slice());
        let mut endpoints = endpoints.unwrap_or_default().iter();
        let found = endpoints.find(|endpoint| !endpoint.resolvers.is_empty());
        found.map(|endpoint| endpoint.resolvers.clone()).unwrap_or_default()
    }

    /// Returns the addresses of all containers that are called `name` (lower case): for the host, who
    /// may know all.
    pub(crate) fn all_addresses(&self, name: &str) -> Vec<IpAddr> {
        self.called(name).flat_map(addresses).collect()
    }

    /// Returns whether an address is in one of the networks.
    pub(crate) fn is_inside(&self, address: IpAddr) -> bool {
        let mut endpoints = self.members.values().flat_map(|known| &known.endpoints);
        endpoints.any(|endpoint| endpoint.addresses.iter().any(|cidr| cidr.contains(address)))
    }

    /// Returns the endpoints that `name` means.
    fn called(&self, name: &str) -> impl Iterator<Item = &Endpoint> {
        self.members.values().flat_map(move |known| {
            let is_id = name.len() >= SHORTEST_ID && known.container.starts_with(name);
            known.endpoints.iter().filter(move |endpoint| is_id || is_called(endpoint, name))
        })
    }

    /// Returns whether who has the address `source` has a way out.
    pub(crate) fn has_way_out(&self, source: IpAddr) -> bool {
        self.member(source)
            .is_some_and(|known| known.endpoints.iter().any(|endpoint| !endpoint.network.internal))
    }

    /// Returns what a name is that only who has the address `source` knows.
    fn target(&self, source: IpAddr, name: &str) -> Option<String> {
        let mut links = self.member(source)?.endpoints.iter().flat_map(|one| &one.links);
        links.find(|(alias, _)| is_same(name, alias)).map(|(_, target)| target.to_lowercase())
    }

    fn networks_of(&self, source: IpAddr) -> Vec<String> {
        let endpoints = self.member(source).map(|known| known.endpoints.as_slice());
        let endpoints = endpoints.unwrap_or_default().iter();
        endpoints.map(|endpoint| endpoint.network.id.clone()).collect()
    }

    fn member(&self, address: IpAddr) -> Option<&Known> {
        self.members.values().find(|known| {
            let mut addresses = known.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
            addresses.any(|cidr| cidr.address == address)
        })
    }
}

fn is_called(endpoint: &Endpoint, name: &str) -> bool {
    let local = in_network(name, &endpoint.network.name);
    let mut names = endpoint.names.iter();
    names.any(|own| is_same(name, own) || local.is_some_and(|local| is_same(local, own)))
}

fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> {
    // Link-local ones are for those who ask for them.
    endpoint.addresses.iter().map(|cidr| cidr.address).filter(|address| !is_link_local(*address))
}

/// Returns `web` for `web.net` where `net` is the network.
fn in_network<'a>(name: &'a str, network: &str) -> Option<&'a str> {
    let (rest, last) = name.split_at_checked(name.len().checked_sub(network.len())?)?;
    rest.strip_suffix('.').filter(|_| !network.is_empty() && is_same(last, network))
}

fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Digits of an identifier that are a name.
const SHORTEST_ID: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Segment;

    fn endpoint(network: &str, address: &str, names: &[&str]) -> Endpoint {
        Endpoint {
            network: Segment {
                id: network.into(),
                name: format!("{network}-name"),
                internal: network == "inner",
                mtu: 1500,
                ..Segment::default()
            },
            mac: hull_netlink::Mac([2; 6]),
            addresses: vec![format!("{address}/24").parse().unwrap()],
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            links: BTreeMap::new(),
            resolvers: vec![],
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_for_those_in_the_same_network() {
        let mut names = Names::default();
        let (web, other) = ("ab".repeat(32), "cd".repeat(32));
        names.set(1, &web, &[endpoint("net", "10.0.0.2", &["web", "Alias"])]);
        names.set(
            2,
            &other,
            &[endpoint("net", "10.0.0.3", &["x"]), endpoint("inner", "10.1.0.3", &["x"])],
        );
        names.set(3, "ef", &[endpoint("inner", "10.1.0.4", &["y"])]);
        let (a, b, c) = (address("10.0.0.2"), address("10.0.0.3"), address("10.1.0.4"));
        assert_eq!(names.addresses(b, "web"), Some(vec![a]));
        assert_eq!(names.addresses(b, "alias"), Some(vec![a]));
        assert_eq!(names.addresses(b, &web[..12]), Some(vec![a]));
        assert_eq!(names.addresses(b, &web[..11]), None);
        let linked = Endpoint {
            links: [("DB".to_owned(), "Web".to_owned())].into(),
            ..endpoint("net", "10.0.0.9", &["z"])
        };
        names.set(4, "99", &[linked]);
        assert_eq!(names.addresses(address("10.0.0.9"), "db"), Some(vec![a]));
        assert_eq!(names.addresses(b, "db"), None);
        assert_eq!(names.addresses(c, "web"), None);
        assert_eq!(names.addresses(c, "x"), Some(vec![address("10.1.0.3")]));
        assert_eq!(names.addresses(address("10.9.9.9"), "web"), None);
        assert_eq!(names.addresses(b, "web.net-name"), Some(vec![a]));
        assert_eq!(names.addresses(b, "web.other-name"), None);
        assert_eq!(names.addresses(b, ".net-name"), None);
        assert_eq!(names.all_addresses("x.inner-name"), [address("10.1.0.3")]);
        assert!(names.is_inside(address("10.1.0.77")) && !names.is_inside(address("10.2.0.3")));
        assert_eq!(names.name(b, a).as_deref(), Some("web.net-name"));
        assert_eq!(names.name(c, a), None);
        assert!(names.has_way_out(b) && !names.has_way_out(c));
        names.remove(1);
        assert_eq!(names.addresses(b, "web"), None);
    }

    #[test]
    fn several_take_turns() {
        let mut names = Names::default();
        for number in 2..5_u8 {
            let address = format!("10.0.0.{number}");
            names.set(number.into(), "c", &[endpoint("net", &address, &["web"])]);
        }
        let source = address("10.0.0.2");
        let mut first: Vec<IpAddr> =
            (0..3).map(|_| names.addresses(source, "web").unwrap()[0]).collect();
        first.sort();
        assert_eq!(first, ["10.0.0.2", "10.0.0.3", "10.0.0.4"].map(address));
    }
}
