//! `Network`, and the bodies of requests about networks.

use std::collections::BTreeMap;

use http::StatusCode;
use hull_engine::{
    CreateNetwork, EndpointConfig, NetworkDriver, NetworkInfo, Subnet, SubnetConfig,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::endpoint::endpoint_config;
use super::fields::Fields;
use crate::error::ApiError;

/// Writes a network.
pub(crate) fn network(info: &NetworkInfo) -> Value {
    let network = &info.network;
    let containers = info.containers.iter().map(|container| {
        let value = json!({
            "Name": container.name,
            "EndpointID": container.endpoint,
            "MacAddress": container.mac,
            "IPv4Address": container.v4,
            "IPv6Address": container.v6,
        });
        (container.id.clone(), value)
    });
    let ipam_options = match network.is_predefined() {
        true => Value::Null,
        false => json!(network.ipam_options),
    };
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver.name(),
        "EnableIPv4": network.driver == NetworkDriver::Bridge && network.v4().is_some(),
        "EnableIPv6": network.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": ipam_options,
            "Config": network.subnets.iter().chain(&network.unused).map(subnet).collect::<Value>(),
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": false,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.config_only,
        "Containers": containers.collect::<Map<_, _>>(),
        "Options": network.options,
        "Labels": network.labels,
    })
}

fn subnet(subnet: &Subnet) -> Value {
    let mut value = json!({"Subnet": subnet.subnet.to_string()});
    if let Some(range) = subnet.range {
        value["IPRange"] = json!(range.to_string());
    }
    if !subnet.implied_gateway {
        value["Gateway"] = json!(subnet.gateway.to_string());
    }
    if !subnet.reserved.is_empty() {
        value["AuxiliaryAddresses"] = json!(subnet.reserved);
    }
    value
}

/// Reads what network to create.
///
/// # Errors
/// A field of the wrong type, or one that Hull cannot honour.
pub(crate) fn create_network(body: Value) -> Result<CreateNetwork, ApiError> {
    let mut fields = Fields::new("", body)?;
    let mut ipam = Fields::new("IPAM", fields.value("IPAM"))?;
    let ipam_driver: String = ipam.take("Driver")?;
    if !matches!(ipam_driver.as_str(), "" | "default") {
        let message = format!("plugin \"{ipam_driver}\" not found");
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    let configs: Vec<Value> = ipam.take("Config")?;
    let ipam_options = ipam.take("Options")?;
    ipam.finish()?;
    let options = CreateNetwork {
        name: fields.take("Name")?,
        driver: fields.take("Driver")?,
        internal: fields.take("Internal")?,
        attachable: fields.take("Attachable")?,
        ipv4: fields.take("EnableIPv4")?,
        ipv6: fields.take("EnableIPv6")?,
        labels: fields.take("Labels")?,
        options: fields.take("Options")?,
        ipam_options,
        subnets: configs.into_iter().map(subnet_config).collect::<Result<_, _>>()?,
        config_only: fields.take("ConfigOnly")?,
        config_from: fields
            .take::<Option<ConfigReference>>("ConfigFrom")?
            .unwrap_or_default()
            .network,
        ingress: fields.take("Ingress")?,
        scoped: scope(&mut fields)?,
    };
    // Names are unique here whatever a client wants.
    fields.accept("CheckDuplicate", &[json!(true)])?;
    fields.finish()?;
    Ok(options)
}

/// Reads whether a scope is asked for. Swarm's is none here, in Docker's words.
fn scope(fields: &mut Fields) -> Result<bool, ApiError> {
    let scope: String = fields.take("Scope")?;
    match scope.as_str() {
        "" => Ok(false),
        "local" => Ok(true),
        _ => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            format!("cannot create a {scope} scoped network when swarm is not active"),
        )),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ConfigReference {
    network: String,
}

fn subnet_config(value: Value) -> Result<SubnetConfig, ApiError> {
    let mut fields = Fields::new("IPAM.Config", value)?;
    let config = SubnetConfig {
        subnet: fields.take("Subnet")?,
        range: fields.take("IPRange")?,
        gateway: fields.take("Gateway")?,
        reserved: fields.take::<Option<BTreeMap<_, _>>>("AuxiliaryAddresses")?.unwrap_or_default(),
    };
    // As old clients call them.
    let auxiliary: BTreeMap<String, String> = fields.take("AuxAddress")?;
    fields.finish()?;
    Ok(SubnetConfig { reserved: config.reserved.into_iter().chain(auxiliary).collect(), ..config })
}

/// Reads whom to connect to a network, and what it asks for there.
///
/// # Errors
/// A field of the wrong type, or one that Hull cannot honour.
pub(crate) fn connect(body: Value) -> Result<(String, EndpointConfig), ApiError> {
    let mut fields = Fields::new("", body)?;
    let container = fields.take("Container")?;
    let config = endpoint_config(fields.value("EndpointConfig"))?;
    fields.finish()?;
    Ok((container, config))
}

/// Reads whom to take off a network, and whether by force.
///
/// # Errors
/// A field of the wrong type, or one that Hull cannot honour.
pub(crate) fn disconnect(body: Value) -> Result<(String, bool), ApiError> {
    let mut fields = Fields::new("", body)?;
    let asked = (fields.take("Container")?, fields.take("Force")?);
    fields.finish()?;
    Ok(asked)
}
