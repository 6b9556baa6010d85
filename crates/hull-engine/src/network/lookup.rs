//! Finds networks.

use hull_network::model::Network;

use super::{Inside, Networks};
use crate::{Error, Result};

impl Networks {
    /// Returns the network with a name, an identifier or the beginning of one, in this order.
    pub(crate) fn find(&self, reference: &str) -> Result<Network> {
        self.inside().find(reference).cloned()
    }

    /// Returns all networks, in the order of their identifiers.
    pub(crate) fn all(&self) -> Vec<Network> {
        self.inside().all.values().cloned().collect()
    }
}

impl Inside {
    pub(super) fn find(&self, reference: &str) -> Result<&Network> {
        let missing = || Error::NotFound(format!("network {reference} not found"));
        if reference.is_empty() {
            return Err(missing());
        }
        let named = self.all.values().find(|network| network.name == reference);
        if let Some(found) = self.all.get(reference).or(named) {
            return Ok(found);
        }
        let mut matches = self.all.values().filter(|network| network.id.starts_with(reference));
        match (matches.next(), matches.next()) {
            (Some(network), None) => Ok(network),
            (Some(_), Some(_)) => Err(Error::InvalidParameter(format!(
                "network {reference} is ambiguous ({} matches found based on ID prefix)",
                2 + matches.count()
            ))),
            (None, _) => Err(missing()),
        }
    }
}
