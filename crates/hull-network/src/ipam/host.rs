//! Networks that the host reaches, which containers must be able to reach, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hull_netlink::Cidr;

/// Returns the networks in the host's routing tables but for default routes. Where the host does
/// not say, there are none.
pub fn host_networks() -> Vec<Cidr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut all = v4(&read("/proc/net/route"));
    all.extend(v6(&read("/proc/net/ipv6_route")));
    all
}

/// Lines of `/proc/net/route`: interface, destination, gateway, flags, .., mask.
fn v4(text: &str) -> Vec<Cidr> {
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| u32::from_str_radix(word, 16).ok().map(u32::from_be);
        let (destination, mask) = (number(words.get(1)?)?, number(words.get(7)?)?);
        let prefix = mask.leading_ones() as u8;
        let address = IpAddr::V4(Ipv4Addr::from_bits(destination));
        (prefix > 0).then_some(Cidr { address, prefix })
    };
    text.lines().skip(1).filter_map(parse).collect()
}

/// Lines of `/proc/net/ipv6_route`: destination, prefix and more. Link-local, loopback and multicast
/// are everywhere.
fn v6(text: &str) -> Vec<Cidr> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let address = Ipv6Addr::from_bits(u128::from_str_radix(words.next()?, 16).ok()?);
        let prefix = u8::from_str_radix(words.next()?, 16).ok()?;
        let is_foreign = prefix > 0
            && !address.is_unicast_link_local()
            && !address.is_loopback()
            && !address.is_multicast();
        is_foreign.then_some(Cidr { address: IpAddr::V6(address), prefix })
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let found: Vec<String> = v4(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.0/24"]);
        let text = "fd000000000000000000000000000000 40 0 0 0 0 0 0 0 eth0\n\
                    fe800000000000000000000000000000 40 0 0 0 0 0 0 0 eth0\n\
                    00000000000000000000000000000000 00 0 0 0 0 0 0 0 lo\n";
        let found: Vec<String> = v6(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["fd00::/64"]);
    }
}
