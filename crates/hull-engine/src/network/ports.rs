//! Published ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hull_network::protocol::{Publish, Transport};
use hull_plan::{ContainerConfig, PortBinding};

use super::{Attachments, NetworkConfig};
use crate::{Error, Result};

/// Returns what a container publishes, in the order of its ports; `networks` are those of its
/// attachments.
pub(crate) fn publish(
    config: &ContainerConfig,
    attachments: &Attachments,
    networks: &[NetworkConfig],
) -> Result<Vec<Publish>> {
    let mut all = Vec::new();
    let places = attachments.list.iter().zip(networks);
    let mut found = places.filter_map(|(attachment, network)| {
        Some((attachment.addresses().next()?, network.host_binding()))
    });
    // Of which network does not matter: all are reached from the namespace.
    let Some((address, host)) = found.next() else {
        return Ok(all);
    };
    let hosts = match host {
        Some(host) => vec![host],
        None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
    };
    let one = |binding: &PortBinding, port: u16, transport: Transport| -> Result<Publish> {
        one(binding, &hosts, address, port, transport)
    };
    for (port, bindings) in &config.host.port_bindings {
        let (port, transport) = parse_port(port)?;
        let any = [PortBinding::default()];
        let bindings = if bindings.is_empty() { &any[..] } else { bindings };
        for binding in bindings {
            all.push(one(binding, port, transport)?);
        }
    }
    if config.host.publish_all_ports {
        for port in &config.exposed_ports {
            if config.host.port_bindings.contains_key(port) {
                continue;
            }
            let (port, transport) = parse_port(port)?;
            all.push(one(&PortBinding::default(), port, transport)?);
        }
    }
    all.sort_by_key(|publish| (publish.port, publish.transport));
    Ok(all)
}

/// Reads `80/tcp`; TCP is meant where nothing is said.
pub(crate) fn parse_port(text: &str) -> Result<(u16, Transport)> {
    let invalid = || Error::InvalidParameter(format!("invalid port specification: {text:?}"));
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let transport = match protocol.to_ascii_lowercase().as_str() {
        "tcp" | "" => Transport::Tcp,
        "udp" => Transport::Udp,
        other => {
            return Err(Error::InvalidParameter(format!(
                "ports of protocol {other} cannot be published: {text}"
            )));
        }
    };
    let number = number.parse::<u16>().ok().filter(|number| *number > 0).ok_or_else(invalid)?;
    Ok((number, transport))
}

/// Returns the ports of the host that a container asks for, `port/protocol` each: what Docker's
/// filter `publish` looks at.
pub(crate) fn asked_for(config: &ContainerConfig) -> Vec<String> {
    let all = config.host.port_bindings.iter().flat_map(|(port, bindings)| {
        let protocol = port.split_once('/').map_or("tcp", |(_, protocol)| protocol);
        bindings.iter().map(move |binding| format!("{}/{protocol}", binding.host_port))
    });
    all.collect()
}

/// Reads filters: `80`, `80-90` or either with `/udp`; returns `port/protocol` for each.
pub(crate) fn expand_all(texts: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for text in texts {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let number = |text: &str| {
            let invalid = || Error::InvalidParameter(format!("invalid port in filter: {text:?}"));
            text.parse::<u16>().map_err(|_| invalid())
        };
        all.extend((number(first)?..=number(last)?).map(|port| format!("{port}/{protocol}")));
    }
    Ok(all)
}

fn one(
    binding: &PortBinding,
    hosts: &[IpAddr],
    address: IpAddr,
    port: u16,
    transport: Transport,
) -> Result<Publish> {
    let invalid =
        |what: &str, text: &str| Error::InvalidParameter(format!("invalid {what}: {text}"));
    let number =
        |text: &str| text.parse::<u16>().map_err(|_| invalid("host port", &binding.host_port));
    let (first, last) = match binding.host_port.split_once('-') {
        _ if binding.host_port.is_empty() => (0, 0),
        None => (number(&binding.host_port)?, number(&binding.host_port)?),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    if last < first {
        return Err(invalid("host port", &binding.host_port));
    }
    let hosts = match binding.host_ip.as_str() {
        "" => hosts.to_vec(),
        text => {
            let bare = text.trim_start_matches('[').trim_end_matches(']');
            vec![bare.parse().map_err(|_| invalid("IP address", text))?]
        }
    };
    Ok(Publish { hosts, host_ports: (first, last), address, port, transport })
}

#[cfg(test)]
mod tests {
    use hull_network::model::HOST_BINDING;

    use super::*;
    use crate::network::Attachment;

    fn published(bindings: &str) -> Result<Vec<String>> {
        published_in(&NetworkConfig::default(), bindings)
    }

    fn published_in(network: &NetworkConfig, bindings: &str) -> Result<Vec<String>> {
        let config = ContainerConfig {
            host: serde_json::from_str(&format!(r#"{{"port_bindings": {bindings}}}"#)).unwrap(),
            ..ContainerConfig::default()
        };
        let attachment = Attachment { v4: Some([10, 0, 0, 2].into()), ..Attachment::default() };
        let attachments = Attachments { list: vec![attachment], ..Attachments::default() };
        let all = publish(&config, &attachments, std::slice::from_ref(network))?;
        let show = |publish: &Publish| {
            let (first, last) = publish.host_ports;
            let transport = publish.transport.name();
            format!("{:?} {first}-{last} {}/{transport}", publish.hosts, publish.port)
        };
        Ok(all.iter().map(show).collect())
    }

    #[test]
    fn filters_are_read() {
        let all = |text: &str| expand_all(&[text.to_owned()]);
        assert_eq!(all("80").unwrap(), ["80/tcp"]);
        assert_eq!(all("80-81/udp").unwrap(), ["80/udp", "81/udp"]);
        assert!(all("x").is_err() && all("70000").is_err());
    }

    #[test]
    fn bindings_are_read() {
        let all = published(
            r#"{"80/tcp": [{"host_port": "8080"}, {"host_ip": "::1", "host_port": "90-95"}],
                "53/udp": [{"host_ip": "127.0.0.1"}]}"#,
        );
        assert_eq!(
            all.unwrap(),
            ["[127.0.0.1] 0-0 53/udp", "[0.0.0.0, ::] 8080-8080 80/tcp", "[::1] 90-95 80/tcp"]
        );
        let mut network = NetworkConfig::default();
        network.options.insert(HOST_BINDING.into(), "127.0.0.1".into());
        let all = published_in(&network, r#"{"80/tcp": [{}, {"host_ip": "0.0.0.0"}]}"#);
        assert_eq!(all.unwrap(), ["[127.0.0.1] 0-0 80/tcp", "[0.0.0.0] 0-0 80/tcp"]);
        for wrong in [
            r#"{"0/tcp": []}"#,
            r#"{"80/sctp": []}"#,
            r#"{"80": [{"host_port": "x"}]}"#,
            r#"{"80": [{"host_port": "9-8"}]}"#,
            r#"{"80": [{"host_ip": "localhost"}]}"#,
        ] {
            assert!(published(wrong).is_err(), "{wrong}");
        }
    }
}
