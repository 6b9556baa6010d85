//! Flags about a container's networks and ports.

use std::collections::BTreeMap;

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
    driver_options: BTreeMap<String, String>,
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
        if all.is_empty() {
            all.push(Wanted { name: "default".into(), ..Wanted::default() });
        }
        self.apply(&mut all[0])?;
        let mut endpoints = Map::new();
        for wanted in &mut all {
            wanted.check()?;
            if endpoints.contains_key(&wanted.name) {
                return Err(Failure::new(format!(
                    "network {:?} is specified multiple times",
                    wanted.name
                )));
            }
            endpoints.insert(wanted.name.clone(), wanted.json());
        }
        let users = all.iter().filter(|wanted| is_users(&wanted.name)).count();
        if users > 0 && users < all.len() {
            return Err(Failure::new(
                "conflicting options: cannot attach both user-defined and non-user-defined \
                 network-modes",
            ));
        }
        if all.len() == 1 && all[0] == (Wanted { name: all[0].name.clone(), ..Wanted::default() }) {
            return Ok(Json::Null);
        }
        Ok(json!({"EndpointsConfig": endpoints}))
    }

    /// Adds what flags of their own say of the first network.
    fn apply(&self, first: &mut Wanted) -> Result<(), Failure> {
        let aliases: Vec<String> = self.aliases.iter().chain(&self.net_aliases).cloned().collect();
        let conflict = |flag: &str, what: &str| {
            Err(Failure::new(format!(
                "conflicting options: cannot specify both {flag} and per-network {what}"
            )))
        };
        if !aliases.is_empty() && !first.aliases.is_empty() {
            return conflict("--network-alias", "alias");
        }
        for (flag, what, own, text) in [
            ("--ip", "IPv4 address", &mut first.ip, &self.ip),
            ("--ip6", "IPv6 address", &mut first.ip6, &self.ip6),
            ("--mac-address", "MAC address", &mut first.mac, &self.mac),
        ] {
            if text.is_empty() {
                continue;
            }
            if !own.is_empty() {
                return conflict(flag, what);
            }
            own.clone_from(text);
        }
        if !self.link_local.is_empty() && !first.link_local.is_empty() {
            return conflict("--link-local-ip", "link-local IP addresses");
        }
        first.link_local.extend(self.link_local.iter().cloned());
        first.aliases.extend(aliases);
        // In other networks they are the container's.
        if is_users(&first.name) {
            first.links.clone_from(&self.links.0);
        }
        Ok(())
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

/// Reads six bytes in hexadecimal, as Go does: between colons or dashes, or in pairs between dots;
/// returns them with colons.
fn mac(text: &str) -> Option<String> {
    let (separator, digits) = match text {
        text if text.contains('.') => ('.', 4),
        text if text.contains('-') => ('-', 2),
        _ => (':', 2),
    };
    let fits = |part: &str| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
    let all: String = text.split(separator).collect();
    if all.len() != 12 || !text.split(separator).all(fits) {
        return None;
    }
    let bytes: Vec<&str> = (0..6).map(|place| &all[2 * place..2 * place + 2]).collect();
    Some(bytes.join(":").to_lowercase())
}

impl Wanted {
    /// Refuses what docker's client refuses, and writes the hardware address as it does.
    fn check(&mut self) -> Result<(), Failure> {
        if self.name.trim().is_empty() {
            return Err(Failure::new("no name set for network"));
        }
        if !self.aliases.is_empty() && !is_users(&self.name) {
            return Err(Failure::new(
                "network-scoped aliases are only supported for user-defined networks",
            ));
        }
        if !self.mac.is_empty() {
            self.mac = mac(self.mac.trim())
                .ok_or_else(|| Failure::new(format!("{} is not a valid mac address", self.mac)))?;
        }
        Ok(())
    }

    fn json(&self) -> Json {
        json!({
            "Aliases": self.aliases,
            "IPAMConfig": {
                "IPv4Address": self.ip,
                "IPv6Address": self.ip6,
                "LinkLocalIPs": self.link_local,
            },
            "MacAddress": self.mac,
            "DriverOpts": self.driver_options,
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
    if !is_long(text) {
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
                    Failure::new(format!("invalid gw-priority ({value}): invalid syntax"))
                })?;
            }
            "driver-opt" => {
                let (name, value) =
                    value.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(
                        || Failure::new("invalid key value pair format in driver options"),
                    )?;
                wanted.driver_options.insert(name.trim().to_lowercase(), value.trim().to_owned());
            }
            other => return Err(Failure::new(format!("invalid field key {other}"))),
        }
    }
    if wanted.name.is_empty() {
        return Err(Failure::new("network name/id is not specified"));
    }
    Ok(wanted)
}

/// Whether docker's client takes a text for fields: a letter, an equals sign, a letter.
fn is_long(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut three = text.as_bytes().windows(3);
    three.any(|three| is_word(three[0]) && three[1] == b'=' && is_word(three[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_read_as_go_reads_them() {
        for text in ["02:42:ac:11:00:0A", "02-42-AC-11-00-0a", "0242.ac11.000A"] {
            assert_eq!(mac(text).as_deref(), Some("02:42:ac:11:00:0a"));
        }
        for text in ["", "x", "02:42:ac:11:00", "0242ac11000a", "02:42:ac:11:00:0a:0b"] {
            assert_eq!(mac(text), None, "{text}");
        }
    }

    #[test]
    fn networks_of_users_are_not_mixed_with_others() {
        let endpoints = |names: &[&str]| {
            let networks = names.iter().map(|name| (*name).to_owned()).collect();
            Networks { networks, ..Networks::default() }.endpoints()
        };
        assert!(endpoints(&["a", "b"]).is_ok());
        for names in [&["a", "none"][..], &["bridge", "a"], &["a", "a"], &[""]] {
            assert!(endpoints(names).is_err(), "{names:?}");
        }
    }

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
        let wanted = parse("name=a,driver-opt=X=y=z").unwrap();
        assert_eq!(wanted.driver_options, [("x".into(), "y=z".into())].into());
        // As docker's client: nothing stands behind the equals sign.
        assert_eq!(parse("name=").unwrap().name, "name=");
    }
}
