//! `--link`: what a container learns of another one in the default network.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A container that another one knows by an alias.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Link {
    /// As the user called it; its identifier once the container that is linked to it exists.
    pub container: String,
    pub alias: String,
    /// What it was called when the link was made, for when it is gone.
    #[serde(default)]
    pub name: String,
}

impl Link {
    /// Reads `name[:alias]`, or `/name:/other/alias`, as Docker shows links.
    ///
    /// # Errors
    /// It is neither; in the words of Docker's client.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::invalid("empty string specified for links"));
        }
        let (container, alias) = match text.split_once(':') {
            None => (text, text),
            Some((_, alias)) if alias.contains(':') => {
                return Err(Error::invalid(format!("bad format for links: {text}")));
            }
            Some((container, alias)) => match container.strip_prefix('/') {
                Some(container) => (container, alias.rsplit('/').next().unwrap_or(alias)),
                None => (container, alias),
            },
        };
        let (container, alias) = (container.to_owned(), alias.to_owned());
        Ok(Self { name: container.clone(), container, alias })
    }
}

/// What is known of a container that is linked to, when it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Linked {
    pub alias: String,
    /// Name of the container that has the link, without a slash.
    pub parent: String,
    /// Its own name, without a slash.
    pub name: String,
    pub hostname: String,
    pub addresses: Vec<IpAddr>,
    /// Its environment as configured.
    pub env: Vec<String>,
    /// `port/protocol`.
    pub exposed_ports: BTreeSet<String>,
}

/// Returns the variables that tell of linked containers, as Docker's `links` package makes them.
pub(crate) fn variables(linked: &[Linked]) -> Vec<String> {
    linked.iter().flat_map(of_one).collect()
}

/// Returns the lines of `/etc/hosts` that name linked containers.
pub(crate) fn host_lines(linked: &[Linked]) -> Vec<String> {
    let lines = linked.iter().flat_map(|link| {
        let Linked { alias, hostname, name, .. } = link;
        let own = if alias == name { String::new() } else { format!(" {name}") };
        link.addresses.iter().map(move |address| format!("{address}\t{alias} {hostname}{own}"))
    });
    lines.collect()
}

fn of_one(link: &Linked) -> Vec<String> {
    let Some(address) = link.addresses.first() else {
        return Vec::new();
    };
    let name = link.alias.to_uppercase().replace('-', "_");
    let ports = ports(&link.exposed_ports);
    let url = |port: &Port| format!("{}://{address}:{}", port.protocol, port.number);
    let prefix =
        |port: &Port| format!("{name}_PORT_{}_{}", port.number, port.protocol.to_uppercase());
    let mut all = Vec::new();
    if let Some(first) = ports.first() {
        all.push(format!("{name}_PORT={}", url(first)));
    }
    for run in runs(&ports) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            let begin = prefix(first);
            all.extend([
                format!("{begin}_START={}", url(first)),
                format!("{begin}_ADDR={address}"),
                format!("{begin}_PROTO={}", first.protocol),
                format!("{begin}_PORT_START={}", first.number),
                format!("{begin}_END={}", url(last)),
                format!("{begin}_PORT_END={}", last.number),
            ]);
        }
    }
    for port in &ports {
        let prefix = prefix(port);
        all.extend([
            format!("{prefix}={}", url(port)),
            format!("{prefix}_ADDR={address}"),
            format!("{prefix}_PORT={}", port.number),
            format!("{prefix}_PROTO={}", port.protocol),
        ]);
    }
    all.push(format!("{name}_NAME=/{}/{}", link.parent, link.alias));
    let own = link.env.iter().filter_map(|variable| variable.split_once('='));
    let told = own.filter(|(key, _)| !matches!(*key, "HOME" | "PATH"));
    all.extend(told.map(|(key, value)| format!("{name}_ENV_{key}={value}")));
    all
}

#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Port<'a> {
    number: u16,
    /// TCP comes first where both have the number.
    is_other: bool,
    protocol: &'a str,
}

fn ports(exposed: &BTreeSet<String>) -> Vec<Port<'_>> {
    let mut ports = Vec::new();
    for text in exposed {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let is_other = protocol != "tcp";
        ports.extend(number.parse().ok().map(|number| Port { number, is_other, protocol }));
    }
    ports.sort();
    ports
}

/// Returns the runs of three ports and more whose numbers follow each other.
fn runs<'p, 'a>(ports: &'p [Port<'a>]) -> Vec<&'p [Port<'a>]> {
    let mut runs = Vec::new();
    let mut begin = 0;
    while begin < ports.len() {
        let follows = |at: &usize| {
            usize::from(ports[*at].number) <= usize::from(ports[begin].number) + (at - begin)
        };
        let end = (begin..ports.len()).take_while(follows).last().unwrap_or(begin);
        if end > begin + 1 {
            runs.push(&ports[begin..=end]);
            begin = end + 1;
        } else {
            begin += 1;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_docker_reads_them() {
        for (text, container, alias) in
            [("db", "db", "db"), ("db:x", "db", "x"), ("/db:/web/x", "db", "x")]
        {
            let link =
                Link { container: container.into(), alias: alias.into(), name: container.into() };
            assert_eq!(Link::parse(text).unwrap(), link);
        }
        let words = |text: &str| Link::parse(text).unwrap_err().to_string();
        assert_eq!(words(""), "empty string specified for links");
        assert_eq!(words("a:b:c"), "bad format for links: a:b:c");
    }

    #[test]
    fn what_dockerd_gave_a_container() {
        let set = |ports: &[&str]| ports.iter().map(|port| (*port).to_owned()).collect();
        let linked = Linked {
            alias: "the-db".into(),
            parent: "web".into(),
            name: "db".into(),
            hostname: "dbhost".into(),
            addresses: vec!["172.17.0.2".parse().unwrap()],
            env: ["A=1", "PATH=/bin", "HOME=/x", "B"].map(Into::into).into(),
            exposed_ports: set(&["5432/tcp", "80/tcp", "81/tcp", "82/tcp", "53/udp"]),
        };
        let lines = host_lines(std::slice::from_ref(&linked));
        assert_eq!(lines, ["172.17.0.2\tthe-db dbhost db"]);
        let all = variables(&[linked]);
        assert_eq!(all[0], "THE_DB_PORT=udp://172.17.0.2:53");
        for expected in [
            "THE_DB_PORT_80_TCP_START=tcp://172.17.0.2:80",
            "THE_DB_PORT_80_TCP_PORT_START=80",
            "THE_DB_PORT_80_TCP_END=tcp://172.17.0.2:82",
            "THE_DB_PORT_80_TCP_PORT_END=82",
            "THE_DB_PORT_53_UDP_PROTO=udp",
            "THE_DB_PORT_5432_TCP_PORT=5432",
            "THE_DB_NAME=/web/the-db",
            "THE_DB_ENV_A=1",
        ] {
            assert!(all.iter().any(|variable| variable == expected), "{expected}: {all:?}");
        }
        // One, six for the run, four each, name, and one of its environment.
        assert_eq!(all.len(), 1 + 6 + 5 * 4 + 1 + 1);
    }
}
