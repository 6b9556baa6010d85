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
        all.extend(parse(&standard(text)?)?);
    }
    Ok(all)
}

/// Reads `port[-port][/protocol]`.
pub(super) fn expose(text: &str) -> Result<Vec<String>, Failure> {
    if text.contains(':') {
        return Err(Failure::new(format!("invalid port format for --expose: {text}")));
    }
    let (ports, protocol) = protocol(text);
    let (first, last) = range(ports).map_err(|why| {
        Failure::new(format!("invalid range format for --expose: {text}, error: {why}"))
    })?;
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// Writes `target=C,published=H,protocol=P` as `H:C/P`; what else is said there docker's client
/// takes for services and leaves out, too.
fn standard(text: &str) -> Result<String, Failure> {
    if !text.contains('=') {
        return Ok(text.to_owned());
    }
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for field in text.split(',') {
        match field.split_once('=') {
            None | Some(("", _)) => {
                return Err(Failure::new(format!(
                    "invalid publish opts format (should be name=value but got '{field}')"
                )));
            }
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            Some(_) => {}
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

/// Reads `[[ip:][host]:]container[/protocol]`; host and container may be ranges.
fn parse(text: &str) -> Result<Vec<Publish>, Failure> {
    let (address, host, container) = split(text);
    let (container, protocol) = protocol(container);
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(Failure::new(format!("invalid proto: {protocol}")));
    }
    let host_ip = match address.strip_prefix('[') {
        None => address,
        Some(inner) => inner.strip_suffix(']').ok_or_else(|| {
            Failure::new(format!(
                "invalid IP address {address}: address {address}:: missing ']' in address"
            ))
        })?,
    };
    if !host_ip.is_empty() && host_ip.parse::<std::net::IpAddr>().is_err() {
        return Err(Failure::new(format!("invalid IP address: {host_ip}")));
    }
    if container.is_empty() {
        return Err(Failure::new(format!("no port specified: {text}<empty>")));
    }
    let (first, last) = range(container)
        .ok()
        .filter(|(first, _)| *first > 0)
        .ok_or_else(|| Failure::new(format!("invalid containerPort: {container}")))?;
    let hosts = match host {
        "" => None,
        host => Some(range(host).map_err(|_| Failure::new(format!("invalid hostPort: {host}")))?),
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

/// Takes the protocol off: what is between the first slash and the next, TCP if that is nothing.
fn protocol(text: &str) -> (&str, String) {
    let mut parts = text.split('/');
    let ports = parts.next().unwrap_or_default();
    match parts.next() {
        None | Some("") => (ports, "tcp".to_owned()),
        Some(protocol) => (ports, protocol.to_lowercase()),
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

/// Reads `first[-last]`; 0, as a port of the host, means any. The error is what Go says.
fn range(text: &str) -> Result<(u16, u16), String> {
    if text.is_empty() {
        return Err("empty string specified for ports".into());
    }
    let number = |text: &str| {
        let wrong = |why: &str| format!("strconv.ParseUint: parsing {text:?}: {why}");
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("invalid syntax"));
        }
        text.parse::<u16>().map_err(|_| wrong("value out of range"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first)?, number(last)?) {
        (first, last) if first > last => Err(format!("invalid range specified for port: {text}")),
        range => Ok(range),
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
            ("80/", &["||80/tcp"]),
            ("80/udp/tcp", &["||80/udp"]),
            ("::1:8080:80", &["::1|8080|80/tcp"]),
            ("published=8080,target=80,mode=host", &["|8080|80/tcp"]),
            ("target=80,protocol=udp", &["||80/udp"]),
        ] {
            assert_eq!(shown(&standard(text).unwrap()), expected, "{text}");
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
            ("+80:80", "invalid hostPort: +80"),
            ("80/udp:80", "invalid hostPort: 80/udp"),
            ("[::1:8080:80", "invalid IP address [::1: address [::1:: missing ']' in address"),
            (
                "80-82:80-81",
                "invalid ranges specified for container and host Ports: 80-81 and 80-82",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }
}
