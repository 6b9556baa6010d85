//! Which addresses networks and containers get. Pure: who has which is the caller's to know.

mod host;
mod pool;

use std::net::IpAddr;

use hull_netlink::Cidr;

use crate::model::Subnet;

pub use host::{host_address, host_networks, is_link_local};
pub use pool::{v4_pool, v6_pool};

/// Returns the lowest address of `subnet` for a container that `is_taken` does not know; `None` if
/// all are in use.
pub fn free_address(subnet: &Subnet, is_taken: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let range = subnet.range.unwrap_or(subnet.subnet);
    let (first, last) = bounds(range);
    let is_free = |address: &IpAddr| {
        *address != subnet.gateway
            && !subnet.reserved.values().any(|reserved| reserved == address)
            && !is_taken(*address)
    };
    (0..=MOST.min(last - first))
        .map(|offset| first + offset)
        .map(|bits| with_bits(range.address, bits))
        .find(|address| is_host(subnet.subnet, *address) && is_free(address))
}

/// Returns whether an address of a network is for a host: the first one is the network's, and the last
/// one of IPv4 means all of it.
pub fn is_host(network: Cidr, address: IpAddr) -> bool {
    let ((first, last), bits) = (bounds(network), bits(address));
    bits != first && !(address.is_ipv4() && bits == last)
}

/// Returns the first address for hosts of a network that is in `range`; `None` if there is none.
pub fn first_host(network: Cidr, range: Option<Cidr>) -> Option<IpAddr> {
    let range = range.unwrap_or(network);
    let (first, last) = bounds(range);
    (0..=1.min(last - first))
        .map(|offset| with_bits(range.address, first + offset))
        .find(|address| is_host(network, *address))
}

/// Returns the first and the last address of a network as numbers.
fn bounds(network: Cidr) -> (u128, u128) {
    let width: u32 = if network.address.is_ipv4() { 32 } else { 128 };
    let first = bits(network.network());
    let size = width - u32::from(network.prefix).min(width);
    let hosts = 1_u128.checked_shl(size).map_or(u128::MAX, |count| count - 1);
    (first, first | hosts)
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn with_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4((bits as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(bits.into()),
    }
}

/// Addresses that are looked at: more than a bridge can have ports.
const MOST: u128 = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str, range: Option<&str>) -> Subnet {
        let cidr: Cidr = text.parse().unwrap();
        Subnet {
            subnet: cidr,
            gateway: first_host(cidr, None).unwrap_or(cidr.address),
            implied_gateway: true,
            range: range.map(|range| range.parse().unwrap()),
            reserved: [("x".into(), "10.0.0.3".parse().unwrap())].into(),
        }
    }

    fn free(text: &str, range: Option<&str>, taken: &[&str]) -> Option<String> {
        let taken = |address: IpAddr| taken.contains(&address.to_string().as_str());
        free_address(&subnet(text, range), taken).map(|address| address.to_string())
    }

    #[test]
    fn the_lowest_free_address_is_taken() {
        assert_eq!(free("10.0.0.0/24", None, &[]).as_deref(), Some("10.0.0.2"));
        assert_eq!(free("10.0.0.0/24", None, &["10.0.0.2"]).as_deref(), Some("10.0.0.4"));
        assert_eq!(free("fd00::/64", None, &[]).as_deref(), Some("fd00::2"));
        let range = Some("10.0.0.128/25");
        assert_eq!(free("10.0.0.0/24", range, &[]).as_deref(), Some("10.0.0.128"));
    }

    #[test]
    fn the_last_address_is_no_containers() {
        assert_eq!(free("10.1.0.0/30", None, &["10.1.0.2"]), None);
        assert_eq!(free("10.1.0.0/31", None, &[]), None);
    }

    #[test]
    fn the_first_address_for_a_host() {
        for (network, range, first) in [
            ("10.0.0.9/24", None, Some("10.0.0.1")),
            ("10.0.0.0/24", Some("10.0.0.130/25"), Some("10.0.0.128")),
            ("10.0.0.0/24", Some("10.0.0.0/25"), Some("10.0.0.1")),
            ("10.0.0.0/31", None, None),
            ("10.0.0.0/32", None, None),
            ("10.0.0.0/24", Some("10.0.0.255/32"), None),
            ("fd00::/127", None, Some("fd00::1")),
            ("fd00::/128", None, None),
        ] {
            let cidr = |text: &str| text.parse::<Cidr>().unwrap();
            let found = first_host(cidr(network), range.map(cidr));
            assert_eq!(found, first.map(|text| text.parse().unwrap()), "{network} {range:?}");
        }
    }
}
