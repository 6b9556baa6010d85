//! Removal.

use hull_network::model::Network;

use super::configuration;
use crate::{Engine, Error, Filters, Result};

impl Engine {
    /// Removes a network.
    ///
    /// # Errors
    /// No such network; it is always there; a running container is in it.
    pub fn remove_network(&self, reference: &str) -> Result<()> {
        let network = self.inner.networks.find(reference)?;
        if network.is_predefined() {
            return Err(Error::Forbidden(format!(
                "{} is a pre-defined network and cannot be removed",
                network.name
            )));
        }
        let users = self.network_users(&network);
        if let Some((container, attachment)) = users.first() {
            return Err(Error::Forbidden(format!(
                "error while removing network: network {} id {} has active endpoints \
                 (name:\"{}\" id:\"{}\")",
                network.name,
                network.id,
                container.record().name,
                attachment.endpoint.get(..12).unwrap_or_default(),
            )));
        }
        configuration::check_unused(&self.inner.networks.inside(), &network)?;
        self.forget_network(&network)
    }

    /// Removes all networks of users that no container is in, and returns their names.
    ///
    /// # Errors
    /// An unknown filter.
    pub fn prune_networks(&self, filters: &Filters) -> Result<Vec<String>> {
        filters.validate(&["label", "label!", "until"])?;
        let until = filters.until()?;
        let mut removed = Vec::new();
        for network in self.inner.networks.all() {
            let young = until.is_some_and(|until| {
                network.created.parse::<jiff::Timestamp>().is_ok_and(|time| time >= until)
            });
            let excluded =
                filters.contains("label!") && filters.all_labels("label!", &network.labels);
            if network.is_predefined()
                || network.config_only
                || young
                || excluded
                || !filters.all_labels("label", &network.labels)
                || !self.network_users(&network).is_empty()
            {
                continue;
            }
            self.forget_network(&network)?;
            removed.push(network.name);
        }
        Ok(removed)
    }

    fn forget_network(&self, network: &Network) -> Result<()> {
        let networks = &self.inner.networks;
        let mut inside = networks.inside();
        networks
            .store
            .remove(&network.id)
            .map_err(|error| Error::internal("cannot remove the network", error))?;
        inside.all.remove(&network.id);
        inside.leases.remove(&network.id);
        drop(inside);
        self.tell_network(network, "destroy", &[]);
        Ok(())
    }
}
