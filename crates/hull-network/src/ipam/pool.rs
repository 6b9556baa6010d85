//! Subnets for networks that ask for none: Docker's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hull_netlink::Cidr;

/// Returns a subnet of IPv4 that overlaps none of `taken`: the first of 172.17.0.0/16 to
/// 172.31.0.0/16 and then of 192.168.0.0/20 to 192.168.240.0/20.
pub fn v4_pool(taken: &[Cidr]) -> Option<Cidr> {
    let large = (17..=31).map(|number| (Ipv4Addr::new(172, number, 0, 0), 16));
    let small = (0..16).map(|number| (Ipv4Addr::new(192, 168, number * 16, 0), 20));
    large
        .chain(small)
        .map(|(address, prefix)| Cidr { address: IpAddr::V4(address), prefix })
        .find(|subnet| !taken.iter().any(|other| other.overlaps(*subnet)))
}

/// Returns a unique local subnet (RFC 4193) with the 40 bits `seed` that overlaps none of `taken`.
pub fn v6_pool(seed: u64, taken: &[Cidr]) -> Option<Cidr> {
    (0..=u16::MAX)
        .map(|number| {
            let [_, _, _, a, b, c, d, e] = seed.to_be_bytes();
            let words = [[0xfd, a], [b, c], [d, e]].map(u16::from_be_bytes);
            let address = Ipv6Addr::new(words[0], words[1], words[2], number, 0, 0, 0, 0);
            Cidr { address: IpAddr::V6(address), prefix: 64 }
        })
        .find(|subnet| !taken.iter().any(|other| other.overlaps(*subnet)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_avoid_what_is_taken() {
        let mut taken: Vec<Cidr> = Vec::new();
        assert_eq!(v4_pool(&taken).unwrap().to_string(), "172.17.0.0/16");
        taken.push("172.17.3.0/24".parse().unwrap());
        taken.push("172.18.0.0/15".parse().unwrap());
        assert_eq!(v4_pool(&taken).unwrap().to_string(), "172.20.0.0/16");
        taken.push("172.16.0.0/12".parse().unwrap());
        assert_eq!(v4_pool(&taken).unwrap().to_string(), "192.168.0.0/20");
        taken.push("0.0.0.0/0".parse().unwrap());
        assert_eq!(v4_pool(&taken), None);
        let first = v6_pool(0x12_3456_789a, &taken).unwrap();
        assert_eq!(first.to_string(), "fd12:3456:789a::/64");
        assert_eq!(v6_pool(0x12_3456_789a, &[first]).unwrap().to_string(), "fd12:3456:789a:1::/64");
    }
}
