//! Flags about a container's networks and ports.

use serde_json::{Map, Value as Json, json};

use super::Links;
use super::publish::{self, Publish};
use crate::error::Failure;
use crate::flags::FlagSet;

/// What a container's networks shall be.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    networks: Vec<String>,
    /// As old users call it.
    net: Vec<String>,
    aliases: Vec<String>,
    /// As old users call it.
    net_aliases: Vec<String>,
    ip: String,
    ip6: String,
    mac: String,
    publish: Vec<String>,
    pub(crate) publish_all: bool,
    expose: Vec<String>,
    link_local: Vec<String>,
    links: Links,
}

/// One `--network`.
#[derive(Debug, Default, Eq, PartialEq)]
struct Wanted {
    name: String,
    aliases: Vec<String>,
    ip: String,
    ip6: String,
    mac: String,
    link_local: Vec<String>,
    links: Vec<String>,
    priority: i64,
}

impl Networks {
    /// Adds the flags.
    #[rustfmt::skip]
    pub(crate) fn register<'a>(&'a mut self, flags: &mut FlagSet<'a>) {
        flags.long(&mut self.expose, "expose", "Expose a port or a range of ports");
        flags.long(&mut self.ip, "ip", "IPv4 address (e.g., 172.30.100.104)");
        flags.long(&mut self.ip6, "ip6", "IPv6 address (e.g., 2001:db8::33)");
        flags.long(&mut self.links, "link", "Add link to another container");
        flags.long(&mut self.link_local, "link-local-ip", "Container IPv4/IPv6 link-local addresses");
        flags.long(&mut self.mac, "mac-address", "Container MAC address (e.g., 92:d0:c6:0a:29:33)");
        flags.hidden(&mut self.net, "net");
        flags.hidden(&mut self.net_aliases, "net-alias");
        flags.long(&mut self.networks, "network", "Connect a container to a network");
        flags.long(&mut self.aliases, "network-alias", "Add network-scoped alias for the container");
        flags.both(&mut self.publish, 'p', "publish", "Publish a container's port(s) to the host");
        flags.both(&mut self.publish_all, 'P', "publish-all", "Publish all exposed ports to random ports");
    }

    /// Returns the name of the first network.
    pub(crate) fn mode(&self) -> String {
        self.given().next().map_or("default".into(), |text| match parse(text) {
            Ok(wanted) => wanted.name,
            Err(_) => text.clone(),
        })
    }

    /// Returns what is asked for in each network; null if nothing is.
    pub(crate) fn endpoints(&self) -> Result<Json, Failure> {
        let mut all = Vec::new();
        for text in self.given() {
            all.push(parse(text)?);
        }
        let aliases: Vec<String> = self.aliases.iter().chain(&self.net_aliases).cloned().collect();
        let says_more = !(aliases.is_empty() && self.link_local.is_empty())
            || [&self.ip, &self.ip6, &self.mac].iter().any(|text| !text.is_empty());
        if all.is_empty() {
            if !says_more {
                return Ok(Json::Null);
            }
            all.push(Wanted { name: "default".into(), ..Wanted::default() });
        }
        if !self.mac.is_empty() && !is_mac(&self.mac) {
            return Err(Failure::new(format!("{} is not a valid mac address", self.mac)));
        }
        let first = &mut all[0];
        for (flag, own, text) in [
            ("--ip", &mut first.ip, &self.ip),
            ("--ip6", &mut first.ip6, &self.ip6),
            ("--mac-address", &mut first.mac, &self.mac),
        ] {
            if !text.is_empty() && !own.is_empty() {
                return Err(Failure::new(format!(
                    "conflicting options: cannot specify both {flag} and per-network settings"
                )));
            }
            if !text.is_empty() {
                own.clone_from(text);
            }
        }
        if !aliases.is_empty() && !first.aliases.is_empty() {
            return Err(Failure::new(
                "conflicting options: cannot specify both --network-alias and per-network alias",
            ));
        }
        if !self.link_local.is_empty() && !first.link_local.is_empty() {
            return Err(Failure::new(
                "conflicting options: cannot specify both --link-local-ip and per-network link-local \
                 IP addresses",
            ));
        }
        if !aliases.is_empty() && !is_users(&first.name) {
            return Err(Failure::new(
                "network-scoped aliases are only supported for user-defined networks",
            ));
        }
        first.link_local.extend(self.link_local.iter().cloned());
        first.aliases.extend(aliases);
        // In other networks they are the container's.
        if is_users(&first.name) {
            first.links.clone_from(&self.links.0);
        }
        if all.len() == 1 && all[0] == (Wanted { name: all[0].name.clone(), ..Wanted::default() }) {
            return Ok(Json::Null);
        }
        let mut endpoints = Map::new();
        for wanted in &all {
            if endpoints.contains_key(&wanted.name) {
                return Err(Failure::new(format!(
                    "network \"{}\" is specified multiple times",
                    wanted.name
                )));
            }
            endpoints.insert(wanted.name.clone(), wanted.json());
        }
        Ok(json!({"EndpointsConfig": endpoints}))
    }

    /// Returns the links as they were given.
    pub(crate) fn links(&self) -> &[String] {
        &self.links.0
    }

    /// Returns Docker's `PortBindings`.
    pub(crate) fn bindings(&self) -> Result<Json, Failure> {
        let mut all = Map::new();
        for Publish { port, host_ip, host_port } in publish::parse_all(&self.publish)? {
            let binding = json!({"HostIp": host_ip, "HostPort": host_port});
            match all.entry(port).or_insert_with(|| json!([])) {
                Json::Array(list) => list.push(binding),
                other => *other = json!([binding]),
            }
        }
        Ok(all.into())
    }

    /// Returns Docker's `ExposedPorts`: those of `--expose` and those that are published.
    pub(crate) fn exposed(&self) -> Result<Json, Failure> {
        let mut all = Map::new();
        for text in &self.expose {
            for port in publish::expose(text)? {
                all.insert(port, json!({}));
            }
        }
        for publish in publish::parse_all(&self.publish)? {
            all.insert(publish.port, json!({}));
        }
        Ok(all.into())
    }

    fn given(&self) -> impl Iterator<Item = &String> {
        self.networks.iter().chain(&self.net)
    }
}

/// Whether a text is six bytes in hexadecimal.
fn is_mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let is_byte = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(separator).count() == 6 && text.split(separator).all(is_byte)
}

impl Wanted {
    fn json(&self) -> Json {
        json!({
            "Aliases": self.aliases,
            "IPAMConfig": {
                "IPv4Address": self.ip,
                "IPv6Address": self.ip6,
                "LinkLocalIPs": self.link_local,
            },
            "MacAddress": self.mac,
            "GwPriority": self.priority,
            "Links": self.links,
        })
    }
}

/// Whether a network is none of those that are always there.
fn is_users(name: &str) -> bool {
    !matches!(name, "default" | "bridge" | "host" | "none") && !name.starts_with("container:")
}

/// Reads `NAME`, or `name=NAME,alias=A,ip=I,..`.
fn parse(text: &str) -> Result<Wanted, Failure> {
    if !text.contains('=') {
        return Ok(Wanted { name: text.to_owned(), ..Wanted::default() });
    }
    let mut wanted = Wanted::default();
    for field in text.split(',') {
        let Some((key, value)) = field.split_once('=') else {
            return Err(Failure::new(format!("invalid field {field}")));
        };
        let value = value.trim().to_owned();
        match key.trim().to_lowercase().as_str() {
            "name" => wanted.name = value,
            "alias" => wanted.aliases.push(value),
            "ip" => wanted.ip = value,
            "ip6" => wanted.ip6 = value,
            "link-local-ip" => wanted.link_local.push(value),
            "mac-address" => wanted.mac = value,
            "gw-priority" => {
                wanted.priority = value.parse().map_err(|_| {
                    Failure::new(format!("invalid gw-priority ({value}): it is no number"))
                })?;
            }
            other => return Err(Failure::new(format!("invalid field key {other}"))),
        }
    }
    if wanted.name.is_empty() {
        return Err(Failure::new("network name/id is not specified"));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_put_together() {
        let networks = Networks {
            networks: vec!["a".into(), "name=b,alias=x,alias=y,ip=10.0.0.9".into()],
            aliases: vec!["z".into()],
            ..Networks::default()
        };
        assert_eq!(networks.mode(), "a");
        let endpoints = networks.endpoints().unwrap();
        let endpoints = &endpoints["EndpointsConfig"];
        assert_eq!(endpoints["a"]["Aliases"], json!(["z"]));
        assert_eq!(endpoints["b"]["Aliases"], json!(["x", "y"]));
        assert_eq!(endpoints["b"]["IPAMConfig"]["IPv4Address"], "10.0.0.9");
        let plain = Networks { networks: vec!["a".into()], ..Networks::default() };
        assert_eq!(plain.endpoints().unwrap(), Json::Null);
        assert!(parse("alias=x").is_err() && parse("name=a,foo=b").is_err());
    }
}
