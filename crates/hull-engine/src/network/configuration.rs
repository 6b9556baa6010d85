//! Networks that are none, only what others are made from: `--config-only` and `--config-from`.

use hull_network::model::{Driver, Network, Subnet};

use super::{CreateNetwork, Inside, SubnetConfig, subnets};
use crate::{Error, Result};

/// Refuses what does not go together, in Docker's words.
pub(super) fn check(options: &CreateNetwork) -> Result<()> {
    let forbidden = |text: &str| Err(Error::Forbidden(text.to_owned()));
    if options.config_only
        && (options.ingress || options.internal || options.attachable || options.scoped)
    {
        return forbidden(
            "configuration network can only contain network specific fields. Network operator \
             fields like [ ingress | internal | attachable | scope ] are not supported.",
        );
    }
    if options.config_from.is_empty() {
        return Ok(());
    }
    if options.config_only {
        return forbidden("a configuration network cannot depend on another configuration network");
    }
    let says_more = options.ipv6
        || !options.labels.is_empty()
        || !options.ipam_options.is_empty()
        || !options.subnets.is_empty();
    if says_more {
        return forbidden(
            "user specified configurations are not supported if the network depends on a \
             configuration network",
        );
    }
    if !options.options.is_empty() {
        return forbidden(
            "network driver options are not supported if the network depends on a configuration \
             network",
        );
    }
    Ok(())
}

/// Returns a network that only says how others are made.
pub(super) fn only(id: String, created: String, options: CreateNetwork) -> Result<Network> {
    Ok(Network {
        id,
        name: options.name.clone(),
        created,
        // So Docker shows it.
        driver: Driver::Null,
        subnets: subnets::as_written(&options)?,
        ipv6: options.ipv6,
        labels: options.labels,
        options: options.options,
        ipam_options: options.ipam_options,
        config_only: true,
        ..Network::default()
    })
}

/// Has `options` say what the network says that they refer to.
pub(super) fn apply(inside: &Inside, options: &mut CreateNetwork) -> Result<()> {
    let name = &options.config_from;
    if name.is_empty() {
        return Ok(());
    }
    let found = inside.all.values().find(|network| network.config_only && network.name == *name);
    let missing = || Error::NotFound(format!("configuration network {name:?} does not exist"));
    let found = found.ok_or_else(missing)?;
    options.ipv6 = found.ipv6;
    options.labels.clone_from(&found.labels);
    options.options.clone_from(&found.options);
    options.ipam_options.clone_from(&found.ipam_options);
    options.subnets = found.subnets.iter().map(written).collect();
    Ok(())
}

/// Refuses to remove what others were made from.
pub(super) fn check_unused(inside: &Inside, network: &Network) -> Result<()> {
    let is_made_from = |other: &Network| other.config_from == network.name;
    if network.config_only && inside.all.values().any(is_made_from) {
        return Err(Error::Forbidden(format!(
            "error while removing network: configuration network {:?} is in use",
            network.name
        )));
    }
    Ok(())
}

/// Returns a subnet as a user would write it.
fn written(subnet: &Subnet) -> SubnetConfig {
    let reserved = subnet.reserved.iter();
    SubnetConfig {
        subnet: subnet.subnet.to_string(),
        range: subnet.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: match subnet.implied_gateway {
            true => String::new(),
            false => subnet.gateway.to_string(),
        },
        reserved: reserved.map(|(name, address)| (name.clone(), address.to_string())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_made_from_a_configuration() {
        let config = SubnetConfig {
            subnet: "10.0.0.0/24".into(),
            gateway: "10.0.0.9".into(),
            ..SubnetConfig::default()
        };
        let options = CreateNetwork {
            name: "c".into(),
            config_only: true,
            subnets: vec![config],
            labels: [("a".into(), "b".into())].into(),
            ..CreateNetwork::default()
        };
        check(&options).unwrap();
        let network = only("1".into(), String::new(), options).unwrap();
        let mut inside = Inside::default();
        inside.all.insert("1".into(), network.clone());
        let mut from = CreateNetwork { config_from: "c".into(), ..CreateNetwork::default() };
        check(&from).unwrap();
        apply(&inside, &mut from).unwrap();
        assert_eq!((&*from.subnets[0].gateway, from.labels.len()), ("10.0.0.9", 1));
        assert!(check(&from).is_err(), "both are said");
        assert!(check_unused(&inside, &network).is_ok());
        let user = Network { name: "u".into(), config_from: "c".into(), ..Network::default() };
        inside.all.insert("2".into(), user);
        assert!(check_unused(&inside, &network).is_err());
        let mut from = CreateNetwork { config_from: "u".into(), ..CreateNetwork::default() };
        assert!(apply(&inside, &mut from).is_err(), "it is no configuration");
    }

    #[test]
    fn a_configuration_is_nobodys_to_run() {
        for set in [
            |options: &mut CreateNetwork| options.internal = true,
            |options: &mut CreateNetwork| options.attachable = true,
            |options: &mut CreateNetwork| options.scoped = true,
            |options: &mut CreateNetwork| options.config_from = "x".into(),
        ] {
            let mut options = CreateNetwork { config_only: true, ..CreateNetwork::default() };
            check(&options).unwrap();
            set(&mut options);
            assert!(check(&options).is_err(), "{options:?}");
        }
    }
}
