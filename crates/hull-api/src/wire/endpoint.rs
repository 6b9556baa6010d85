//! `EndpointSettings`: a container in a network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hull_engine::{ContainerEndpoint, EndpointConfig};
use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::error::ApiError;

/// Reads what a container asks for in a network.
///
/// # Errors
/// A field of the wrong type, or one that Hull cannot honour.
pub(crate) fn endpoint_config(value: Value) -> Result<EndpointConfig, ApiError> {
    let mut fields = Fields::new("EndpointSettings", value)?;
    let mut ipam = Fields::new("EndpointSettings.IPAMConfig", fields.value("IPAMConfig"))?;
    let address = |text: String, name: &str| -> Result<Option<String>, ApiError> {
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse::<IpAddr>() {
            Ok(address) if address.is_ipv4() == (name == "IPv4Address") => Ok(Some(text)),
            _ => Err(ApiError::bad_request(format!(
                "invalid endpoint settings:\ninvalid {} address: {text}",
                &name[..4]
            ))),
        }
    };
    let v4 = address(ipam.take("IPv4Address")?, "IPv4Address")?;
    let v6 = address(ipam.take("IPv6Address")?, "IPv6Address")?;
    let link_local: Vec<String> = ipam.take("LinkLocalIPs")?;
    ipam.finish()?;
    let config = EndpointConfig {
        aliases: fields.take("Aliases")?,
        links: fields.take("Links")?,
        // Parsed above.
        ipv4_address: v4.and_then(|text| text.parse().ok()),
        ipv6_address: v6.and_then(|text| text.parse().ok()),
        link_local: link_local
            .iter()
            .map(|text| self::link_local(text))
            .collect::<Result<_, _>>()?,
        mac_address: fields.take("MacAddress")?,
        gateway_priority: fields.take("GwPriority")?,
        driver_options: driver_options(&mut fields)?,
    };
    // What Docker shows of an endpoint, which some clients send back.
    for name in [
        "NetworkID",
        "EndpointID",
        "Gateway",
        "IPAddress",
        "IPPrefixLen",
        "IPv6Gateway",
        "GlobalIPv6Address",
        "GlobalIPv6PrefixLen",
        "DNSNames",
    ] {
        fields.value(name);
    }
    fields.finish()?;
    Ok(config)
}

/// Reads options of the driver. It knows none that Docker's does not know: those are kept.
fn driver_options(fields: &mut Fields) -> Result<BTreeMap<String, String>, ApiError> {
    let options: BTreeMap<String, String> = fields.take("DriverOpts")?;
    match options.iter().find(|(name, _)| name.starts_with("com.docker.network.")) {
        Some((name, value)) => {
            Err(ApiError::bad_request(format!("driver option {name} is not supported: {value}")))
        }
        None => Ok(options),
    }
}

fn link_local(text: &str) -> Result<IpAddr, ApiError> {
    match text.trim().parse::<IpAddr>() {
        Ok(address) if hull_engine::is_link_local(address) => Ok(address),
        _ => Err(ApiError::bad_request(format!(
            "invalid endpoint settings:\ninvalid link-local IP address: {text}"
        ))),
    }
}

/// Writes the networks of a container by name.
pub(crate) fn endpoints(all: &[ContainerEndpoint]) -> Value {
    all.iter().map(|one| (one.network.clone(), endpoint(one))).collect::<Map<_, _>>().into()
}

fn endpoint(endpoint: &ContainerEndpoint) -> Value {
    let config = &endpoint.config;
    let list = |texts: &[String]| if texts.is_empty() { Value::Null } else { json!(texts) };
    let mut ipam = Map::new();
    if let Some(address) = config.ipv4_address {
        ipam.insert("IPv4Address".into(), json!(address.to_string()));
    }
    if let Some(address) = config.ipv6_address {
        ipam.insert("IPv6Address".into(), json!(address.to_string()));
    }
    if !config.link_local.is_empty() {
        let all = config.link_local.iter().map(ToString::to_string);
        ipam.insert("LinkLocalIPs".into(), all.collect());
    }
    let text =
        |address: Option<IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    let cidr = |v4: bool| endpoint.addresses.iter().find(|cidr| cidr.address.is_ipv4() == v4);
    let gateway =
        |v4: bool| endpoint.gateways.iter().copied().find(|gateway| gateway.is_ipv4() == v4);
    json!({
        "IPAMConfig": if ipam.is_empty() { Value::Null } else { Value::Object(ipam) },
        "Links": list(&config.links),
        "Aliases": list(&config.aliases),
        "MacAddress": endpoint.mac,
        "DriverOpts": match config.driver_options.is_empty() {
            true => Value::Null,
            false => json!(config.driver_options),
        },
        "GwPriority": config.gateway_priority,
        "NetworkID": endpoint.network_id,
        "EndpointID": endpoint.id,
        "Gateway": text(gateway(true)),
        "IPAddress": text(cidr(true).map(|cidr| cidr.address)),
        "IPPrefixLen": cidr(true).map_or(0, |cidr| cidr.prefix),
        "IPv6Gateway": text(gateway(false)),
        "GlobalIPv6Address": text(cidr(false).map(|cidr| cidr.address)),
        "GlobalIPv6PrefixLen": cidr(false).map_or(0, |cidr| cidr.prefix),
        "DNSNames": list(&endpoint.names),
    })
}
