//! Docker's `PortMap`, and what it shows of published ports.

use std::collections::BTreeMap;

use hull_engine::{PortBinding, PublishedPort};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// `port/protocol` to where it is published.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct PortMap(BTreeMap<String, Option<Vec<Wire>>>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Wire {
    host_ip: String,
    host_port: String,
}

impl PortMap {
    pub(super) fn into_bindings(self) -> BTreeMap<String, Vec<PortBinding>> {
        let binding = |wire: Wire| PortBinding { host_ip: wire.host_ip, host_port: wire.host_port };
        let all = self.0.into_iter();
        all.map(|(port, list)| (port, list.unwrap_or_default().into_iter().map(binding).collect()))
            .collect()
    }
}

/// Writes what was asked for.
pub(super) fn bindings(all: &BTreeMap<String, Vec<PortBinding>>) -> Value {
    let list = |bindings: &Vec<PortBinding>| -> Value {
        let show = |binding: &PortBinding| json!({"HostIp": binding.host_ip, "HostPort": binding.host_port});
        bindings.iter().map(show).collect()
    };
    all.iter().map(|(port, bindings)| (port.clone(), list(bindings))).collect::<Map<_, _>>().into()
}

/// Writes `NetworkSettings.Ports`: exposed ports, and where they are published.
pub(super) fn settings<'a>(
    exposed: impl Iterator<Item = &'a String>,
    published: &[PublishedPort],
) -> Value {
    let mut all: BTreeMap<String, Value> =
        exposed.map(|port| (port.clone(), Value::Null)).collect();
    for port in published {
        let key = format!("{}/{}", port.port, port.transport);
        let shown =
            json!({"HostIp": port.host_ip.to_string(), "HostPort": port.host_port.to_string()});
        match all.entry(key).or_default() {
            Value::Array(list) => list.push(shown),
            other => *other = json!([shown]),
        }
    }
    all.into_iter().collect::<Map<_, _>>().into()
}

/// Writes the ports of one line of a list.
pub(super) fn summary<'a>(
    exposed: impl Iterator<Item = &'a String>,
    published: &[PublishedPort],
) -> Value {
    let split = |text: &'a str| {
        let (number, kind) = text.split_once('/').unwrap_or((text, "tcp"));
        Some((number.parse::<u16>().ok()?, kind))
    };
    let is_published =
        |port: u16, kind: &str| published.iter().any(|p| p.port == port && p.transport == kind);
    let mut list: Vec<Value> = exposed
        .filter_map(|text| split(text))
        .filter(|(port, kind)| !is_published(*port, kind))
        .map(|(port, kind)| json!({"PrivatePort": port, "Type": kind}))
        .collect();
    list.extend(published.iter().map(|port| {
        json!({
            "IP": port.host_ip.to_string(),
            "PrivatePort": port.port,
            "PublicPort": port.host_port,
            "Type": port.transport,
        })
    }));
    list.into()
}
