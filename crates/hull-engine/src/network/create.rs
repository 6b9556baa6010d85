//! Creation.

use std::collections::BTreeMap;

use hull_network::model::{Driver, Network};
use jiff::Timestamp;

use super::options::{check_bridge, check_options};
use super::subnets::Subnets;
use super::{configuration, created, subnets};
use crate::{Engine, Error, Result, random};

/// What network to create.
#[derive(Clone, Debug, Default)]
pub struct CreateNetwork {
    pub name: String,
    /// Empty: `bridge`.
    pub driver: String,
    pub internal: bool,
    pub attachable: bool,
    /// `None`: containers have addresses of IPv4.
    pub ipv4: Option<bool>,
    pub ipv6: bool,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    pub ipam_options: BTreeMap<String, String>,
    /// None: a free subnet is chosen.
    pub subnets: Vec<SubnetConfig>,
    /// It only says how others are made.
    pub config_only: bool,
    /// The name of one that says so; empty: this says all itself.
    pub config_from: String,
    /// It is to be a swarm's way in, which there is none of.
    pub ingress: bool,
    /// A scope is asked for.
    pub scoped: bool,
}

/// Addresses of a network, as a user writes them.
#[derive(Clone, Debug, Default)]
pub struct SubnetConfig {
    pub subnet: String,
    pub range: String,
    pub gateway: String,
    /// By name.
    pub reserved: BTreeMap<String, String>,
}

impl Engine {
    /// Creates a network and returns its identifier.
    ///
    /// # Errors
    /// The name is in use; the addresses make no sense or overlap those of another network.
    pub fn create_network(&self, mut options: CreateNetwork) -> Result<String> {
        check_name(&options.name)?;
        configuration::check(&options)?;
        if options.ingress {
            return Err(Error::Forbidden(
                "Ingress network can only be global scope network".into(),
            ));
        }
        let driver = match options.driver.as_str() {
            _ if options.config_only => Driver::Null,
            "" | "bridge" => Driver::Bridge,
            "host" | "null" => {
                return Err(Error::Forbidden(format!(
                    "only one instance of \"{}\" network is allowed",
                    options.driver
                )));
            }
            other => {
                return Err(Error::NotFound(format!(
                    "could not find plugin {other} in v1 plugin registry: plugin not found"
                )));
            }
        };
        if options.ipv4 == Some(false) && !options.ipv6 {
            return Err(Error::InvalidParameter("IPv4 or IPv6 must be enabled".into()));
        }
        check_options(&options)?;
        let networks = &self.inner.networks;
        let mut inside = networks.inside();
        if inside.all.values().any(|network| network.name == options.name) {
            return Err(Error::Conflict(format!(
                "network with name {} already exists",
                options.name
            )));
        }
        check_bridge(&inside, &options)?;
        configuration::apply(&inside, &mut options)?;
        let (id, created) = (random::id()?, created(Timestamp::now()));
        let network = if options.config_only {
            configuration::only(id, created, options)?
        } else {
            let Subnets { used, unused } = subnets::subnets(&inside, &options)?;
            Network {
                id,
                name: options.name.clone(),
                created,
                driver,
                subnets: used,
                unused,
                ipv6: options.ipv6,
                internal: options.internal,
                attachable: options.attachable,
                labels: options.labels,
                options: options.options,
                ipam_options: options.ipam_options,
                config_only: false,
                config_from: options.config_from,
            }
        };
        let id = network.id.clone();
        networks.keep(&mut inside, network.clone())?;
        drop(inside);
        self.tell_network(&network, "create", &[]);
        Ok(id)
    }
}

/// Any name will do in Docker that is none of those that are always there.
fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::InvalidParameter("invalid name: name is empty".into()));
    }
    if name == "default" || hull_network::model::PREDEFINED.contains(&name) {
        return Err(Error::Forbidden(format!(
            "operation is not permitted on predefined {name} network"
        )));
    }
    Ok(())
}
