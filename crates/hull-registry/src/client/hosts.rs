//! Which registries may be spoken to without TLS.

use std::net::IpAddr;

/// Registries that need no TLS: loopback, and what the settings name.
#[derive(Debug)]
pub(crate) struct Hosts {
    names: Vec<String>,
    networks: Vec<(IpAddr, u32)>,
}

impl Hosts {
    /// Takes `host`, `host:port` and networks (`10.0.0.0/8`), as Docker does.
    pub(crate) fn new(insecure: &[String]) -> Self {
        let (networks, names): (Vec<_>, Vec<_>) =
            insecure.iter().partition(|entry| network(entry).is_some());
        Self {
            names: names.into_iter().map(|name| name.to_ascii_lowercase()).collect(),
            networks: networks.into_iter().filter_map(|entry| network(entry)).collect(),
        }
    }

    /// Whether the registry at `host` or `host:port` needs no TLS. Names are not resolved.
    pub(crate) fn is_insecure(&self, host_port: &str) -> bool {
        let host_port = host_port.to_ascii_lowercase();
        let host = match host_port.rfind(']') {
            Some(end) => &host_port[..=end],
            None => host_port.split(':').next().unwrap_or_default(),
        };
        if host == "localhost" || self.names.iter().any(|n| *n == host || *n == host_port) {
            return true;
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let Ok(address) = bare.parse::<IpAddr>() else {
            return false;
        };
        let within =
            |&(network, length): &(IpAddr, u32)| prefix(address, length) == prefix(network, length);
        address.is_loopback() || self.networks.iter().any(within)
    }
}

fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    (length <= bits).then_some((address, length))
}

/// The first `length` bits of an address and its family.
fn prefix(address: IpAddr, length: u32) -> (bool, u128) {
    let (bits, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32_u32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let drop = width.saturating_sub(length);
    (address.is_ipv4(), bits.checked_shr(drop).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_what_is_configured() {
        let hosts =
            Hosts::new(&["plain.example".into(), "p.example:81".into(), "10.0.0.0/8".into()]);
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.8.9.1",
            "[::1]:5000",
            "plain.example",
            "Plain.Example:5000",
            "p.example:81",
            "10.1.2.3:5000",
        ] {
            assert!(hosts.is_insecure(host), "{host}");
        }
        for host in [
            "docker.io",
            "localhost.example",
            "p.example",
            "p.example:82",
            "11.0.0.1",
            "[::2]",
            "[::a00:1]",
            "127.0.0.1.example",
            "0.0.0.0",
        ] {
            assert!(!hosts.is_insecure(host), "{host}");
        }
    }
}
