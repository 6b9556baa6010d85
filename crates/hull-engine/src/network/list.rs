//! What networks there are, and who is in them.

use std::sync::Arc;

use hull_network::model::Network;

use super::{Attachment, lease};
use crate::container::entry::Container;
use crate::{Engine, Error, Filters, Result};

/// A network and its running containers.
#[derive(Clone, Debug)]
pub struct NetworkInfo {
    pub network: Network,
    pub containers: Vec<NetworkContainer>,
}

/// A running container in a network.
#[derive(Clone, Debug)]
pub struct NetworkContainer {
    pub id: String,
    pub name: String,
    pub endpoint: String,
    pub mac: String,
    /// With prefix; empty if there is none.
    pub v4: String,
    /// With prefix; empty if there is none.
    pub v6: String,
}

impl Engine {
    /// Describes a network.
    ///
    /// # Errors
    /// No such network.
    pub fn network(&self, reference: &str) -> Result<NetworkInfo> {
        let network = self.inner.networks.find(reference)?;
        Ok(self.describe(network))
    }

    /// Lists networks.
    ///
    /// # Errors
    /// An unknown filter or a value that makes no sense.
    pub fn networks(&self, filters: &Filters) -> Result<Vec<NetworkInfo>> {
        filters.validate(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
        let dangling = filters.boolean("dangling")?;
        for kind in filters.values("type") {
            if kind != "builtin" && kind != "custom" {
                return Err(Error::InvalidParameter(format!("invalid filter: 'type'='{kind}'")));
            }
        }
        let fits = |network: &Network| {
            let kind = if network.is_predefined() { "builtin" } else { "custom" };
            filters.matches("name", &network.name)
                && filters.matches("id", &network.id)
                && filters.is_exactly("driver", network.driver.name())
                && filters.is_exactly("scope", "local")
                && filters.is_exactly("type", kind)
                && filters.all_labels("label", &network.labels)
                && dangling.is_none_or(|wanted| {
                    let is_dangling =
                        !network.is_predefined() && self.network_users(network).is_empty();
                    wanted == is_dangling
                })
        };
        let mut found = self.inner.networks.all();
        found.retain(fits);
        Ok(found.into_iter().map(|network| self.describe(network)).collect())
    }

    /// Returns the running containers of a network.
    pub(crate) fn network_users(&self, network: &Network) -> Vec<(Arc<Container>, Attachment)> {
        let mut users = Vec::new();
        for container in self.inner.containers.all() {
            if !container.is_running() {
                continue;
            }
            let attachments = container.attachments().list.clone();
            let found = attachments.into_iter().find(|other| other.network == network.id);
            users.extend(found.map(|attachment| (container, attachment)));
        }
        users
    }

    fn describe(&self, network: Network) -> NetworkInfo {
        let users = self.network_users(&network).into_iter();
        let containers = users.map(|(container, attachment)| {
            let addresses = lease::with_prefixes(&network, &attachment);
            let of = |v4: bool| {
                let found = addresses.iter().find(|cidr| cidr.address.is_ipv4() == v4);
                found.map(ToString::to_string).unwrap_or_default()
            };
            NetworkContainer {
                id: container.id.clone(),
                name: container.record().name.clone(),
                endpoint: attachment.endpoint.clone(),
                mac: attachment.mac.map(|mac| mac.to_string()).unwrap_or_default(),
                v4: of(true),
                v6: of(false),
            }
        });
        let containers = containers.collect();
        NetworkInfo { network, containers }
    }
}
