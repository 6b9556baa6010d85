//! `--publish` and `--expose`, as Docker's client reads them.

use crate::error::Failure;

/// A port, and where it is published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Publish {
    /// `port/protocol`.
    pub(super) port: String,
    pub(super) host_ip: String,
    /// Number, range or nothing.
    pub(super) host_port: String,
}

/// Reads all of `texts`.
pub(super) fn parse_all(texts: &[String]) -> Result<Vec<Publish>, Failure> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(parse(text)?);
    }
    Ok(all)
}

/// Reads `port[-port][/protocol]`.
pub(super) fn expose(text: &str) -> Result<Vec<String>, Failure> {
    if text.contains(':') {
        return Err(Failure::new(format!("invalid port format for --expose: {text}")));
    }
    let (ports, protocol) = protocol(text);
    let (first, last) = range(ports).ok_or_else(|| {
        Failure::new(format!("invalid range format for --expose: {text}, error: invalid port"))
    })?;
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// Reads `[[ip:][host]:]container[/protocol]`; host and container may be ranges.
fn parse(text: &str) -> Result<Vec<Publish>, Failure> {
    let (rest, protocol) = protocol(text);
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(Failure::new(format!("invalid proto: {protocol}")));
    }
    let (address, host, container) = split(rest);
    let host_ip = address.trim_start_matches('[').trim_end_matches(']');
    if !host_ip.is_empty() && host_ip.parse::<std::net::IpAddr>().is_err() {
        return Err(Failure::new(format!("invalid IP address: {host_ip}")));
    }
    if container.is_empty() {
        return Err(Failure::new(format!("no port specified: {text}<empty>")));
    }
    let (first, last) = range(container)
        .filter(|(first, _)| *first > 0)
        .ok_or_else(|| Failure::new(format!("invalid containerPort: {container}")))?;
    let hosts = match host {
        "" => None,
        host => Some(range(host).ok_or_else(|| Failure::new(format!("invalid hostPort: {host}")))?),
    };
    let count = last - first;
    if let Some((low, high)) = hosts
        && high - low != count
        && count > 0
    {
        return Err(Failure::new(format!(
            "invalid ranges specified for container and host Ports: {container} and {host}"
        )));
    }
    let one = |offset: u16| Publish {
        port: format!("{}/{protocol}", first + offset),
        host_ip: host_ip.to_owned(),
        host_port: match hosts {
            None => String::new(),
            // One port of the container, any of a range of the host.
            Some((low, high)) if count == 0 && high > low => format!("{low}-{high}"),
            Some((low, _)) => (low + offset).to_string(),
        },
    };
    Ok((0..=count).map(one).collect())
}

fn protocol(text: &str) -> (&str, String) {
    match text.rsplit_once('/') {
        Some((ports, protocol)) => (ports, protocol.to_lowercase()),
        None => (text, "tcp".to_owned()),
    }
}

/// Splits into address, port of the host, and of the container.
fn split(text: &str) -> (&str, &str, &str) {
    let (rest, container) = text.rsplit_once(':').unwrap_or(("", text));
    match rest.rsplit_once(':') {
        Some((address, host)) => (address, host, container),
        None => ("", rest, container),
    }
}

/// Reads `first[-last]`; 0, as a port of the host, means any.
fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| text.parse::<u16>().ok();
    match text.split_once('-') {
        Some((first, last)) => {
            Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last)
        }
        None => number(text).map(|port| (port, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let all = parse(text).unwrap();
        all.iter().map(|one| format!("{}|{}|{}", one.host_ip, one.host_port, one.port)).collect()
    }

    #[test]
    fn every_form() {
        for (text, expected) in [
            ("80", &["||80/tcp"][..]),
            ("8080:80", &["|8080|80/tcp"]),
            ("127.0.0.1:8080:80/udp", &["127.0.0.1|8080|80/udp"]),
            ("127.0.0.1::80", &["127.0.0.1||80/tcp"]),
            ("[::1]:8080:80", &["::1|8080|80/tcp"]),
            ("8000-8001:80-81", &["|8000|80/tcp", "|8001|81/tcp"]),
            ("8000-8010:80", &["|8000-8010|80/tcp"]),
            ("0:80", &["|0|80/tcp"]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert_eq!(expose("80-81/udp").unwrap(), ["80/udp", "81/udp"]);
    }

    #[test]
    fn messages_are_dockers() {
        for (text, message) in [
            ("x", "invalid containerPort: x"),
            ("y:80", "invalid hostPort: y"),
            ("80/foo", "invalid proto: foo"),
            ("1.2.3:80:80", "invalid IP address: 1.2.3"),
            (
                "80-82:80-81",
                "invalid ranges specified for container and host Ports: 80-81 and 80-82",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }
}
