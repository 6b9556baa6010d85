//! `NetworkSettings` of a container.

use hull_engine::{ContainerEndpoint, PublishedPort};
use serde_json::{Value, json};

use super::endpoint::endpoints;
use super::ports;

/// Writes the network settings of a container.
pub(crate) fn network_settings<'a>(
    all: &[ContainerEndpoint],
    exposed: impl Iterator<Item = &'a String>,
    published: &[PublishedPort],
) -> Value {
    let networks = endpoints(all);
    // Ports are endpoints' in Docker: one that is in no network exposes none.
    let is_connected = all.iter().any(|endpoint| !endpoint.id.is_empty());
    let exposed = exposed.filter(|_| is_connected);
    // Docker repeats the default network's endpoint beside the list.
    let default = networks["bridge"].clone();
    let text = |name: &str| json!(default[name].as_str().unwrap_or_default());
    let number = |name: &str| json!(default[name].as_u64().unwrap_or_default());
    json!({
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": "",
        "Ports": ports::settings(exposed, published),
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": text("EndpointID"),
        "Gateway": text("Gateway"),
        "GlobalIPv6Address": text("GlobalIPv6Address"),
        "GlobalIPv6PrefixLen": number("GlobalIPv6PrefixLen"),
        "IPAddress": text("IPAddress"),
        "IPPrefixLen": number("IPPrefixLen"),
        "IPv6Gateway": text("IPv6Gateway"),
        "MacAddress": text("MacAddress"),
        "Networks": networks,
    })
}
