//! Who is called what, and who may know.

use std::collections::BTreeMap;
use std::net::IpAddr;

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
        let networks = self.networks_of(source);
        let mut found = Vec::new();
        for known in self.members.values() {
            let is_id = name.len() >= SHORTEST_ID && known.container.starts_with(name);
            for endpoint in &known.endpoints {
                let is_called =
                    is_id || endpoint.names.iter().any(|other| other.eq_ignore_ascii_case(name));
                if is_called && networks.contains(&endpoint.network.id) {
                    found.extend(endpoint.addresses.iter().map(|cidr| cidr.address));
                }
            }
        }
        if found.is_empty() {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn % found.len();
        found.rotate_left(turn);
        Some(found)
    }

    /// Returns the name of the container with `address`, if who has the address `source` may know.
    pub(crate) fn name(&self, source: IpAddr, address: IpAddr) -> Option<&str> {
        let networks = self.networks_of(source);
        let mut endpoints = self.members.values().flat_map(|known| &known.endpoints);
        let has = |endpoint: &&Endpoint| {
            networks.contains(&endpoint.network.id)
                && endpoint.addresses.iter().any(|cidr| cidr.address == address)
        };
        endpoints.find(has)?.names.first().map(String::as_str)
    }

    /// Returns whether who has the address `source` has a way out.
    pub(crate) fn has_way_out(&self, source: IpAddr) -> bool {
        self.member(source)
            .is_some_and(|known| known.endpoints.iter().any(|endpoint| !endpoint.network.internal))
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
                gateways: vec![],
                internal: network == "inner",
                mtu: 1500,
            },
            mac: hull_netlink::Mac([2; 6]),
            addresses: vec![format!("{address}/24").parse().unwrap()],
            names: names.iter().map(|name| (*name).to_owned()).collect(),
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
        assert_eq!(names.addresses(c, "web"), None);
        assert_eq!(names.addresses(c, "x"), Some(vec![address("10.1.0.3")]));
        assert_eq!(names.addresses(address("10.9.9.9"), "web"), None);
        assert_eq!(names.name(b, a), Some("web"));
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
