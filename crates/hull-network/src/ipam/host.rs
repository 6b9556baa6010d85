//! Networks that the host reaches, which containers must be able to reach, too.

use std::net::{IpAddr, UdpSocket};

use hull_netlink::{Cidr, Protocol, Socket};

/// Returns the networks in the host's routing tables, those of rules (VPNs), too, but for default
/// routes. Where the host does not say, there are none.
pub fn host_networks() -> Vec<Cidr> {
    let found = Socket::open(Protocol::Route).and_then(|mut socket| socket.destinations());
    let mut found = found.unwrap_or_default();
    found.retain(|network| is_somewhere(network.address));
    found
}

/// Returns the address by which the host knows itself, which leads out of the namespace and in
/// again; `None` if it has none but loopback ones.
pub fn host_address() -> Option<IpAddr> {
    // Nothing is sent: connecting a datagram socket only looks the route up.
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).or_else(|_| socket.connect(("10.255.255.255", 9))).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

/// Returns whether an address means something on its own link only.
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Link-local and multicast addresses are everywhere.
fn is_somewhere(address: IpAddr) -> bool {
    !is_link_local(address) && !address.is_multicast() && !address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_everywhere_is_no_network_of_the_host() {
        let is_somewhere = |text: &str| is_somewhere(text.parse().unwrap());
        for text in ["fe80::", "ff00::", "::1", "169.254.0.0", "224.0.0.0"] {
            assert!(!is_somewhere(text), "{text}");
        }
        assert!(is_somewhere("10.0.0.0") && is_somewhere("fd00::"));
    }
}
