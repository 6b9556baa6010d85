//! What a running container knows of its networks, when they change.

use std::sync::Arc;

use hull_network::model::Network;
use hull_plan::NetworkFacts;
use hull_protocol::{DefaultRoutes, Edit};
use hull_supervisor::control::Settle;

use super::{Attachments, attach};
use crate::container::entry::Container;
use crate::container::record::Record;
use crate::{Engine, Error, Result, host};

impl Engine {
    /// Tells a running container, and those who answer for its names, that what was `before` is now
    /// what its attachments and its record say.
    pub(crate) async fn settle(
        &self,
        container: &Arc<Container>,
        before: &Attachments,
    ) -> Result<()> {
        let (record, after) = (container.record(), container.attachments());
        let (old_networks, networks) = (self.networks_of(before), self.networks_of(&after));
        let interfaces = attach::interfaces(&record, &after, &networks);
        let names = interfaces.iter().map(|interface| {
            let endpoint = &interface.endpoint;
            (endpoint.network.id.clone(), endpoint.names.clone())
        });
        let routes = interfaces.iter().filter(|interface| !interface.gateways.is_empty());
        let routes = routes.map(|interface| DefaultRoutes {
            mac: interface.endpoint.mac.to_string(),
            gateways: interface.gateways.iter().map(ToString::to_string).collect(),
        });
        let old_interfaces = attach::interfaces(&record, before, &old_networks);
        let settle = Settle {
            names: names.collect(),
            routes: routes.collect(),
            edits: edits(
                &record,
                &attach::facts(&record, &old_networks, &old_interfaces),
                &attach::facts(&record, &networks, &interfaces),
            )?,
        };
        let task = self.running_task(container)?;
        task.settle(settle).await.map_err(Error::supervisor("cannot set up container networking"))
    }

    /// Returns the networks of attachments, in their order. One that has gone meanwhile is as if it
    /// said nothing: nobody is in it any more.
    fn networks_of(&self, attachments: &Attachments) -> Vec<Network> {
        let find = |id: &str| self.inner.networks.find(id).unwrap_or_default();
        attachments.list.iter().map(|attachment| find(&attachment.network)).collect()
    }
}

fn edits(record: &Record, before: &NetworkFacts, after: &NetworkFacts) -> Result<Vec<Edit>> {
    let host = host::plan_host();
    let lines = |facts: &NetworkFacts| {
        hull_plan::network_lines(&record.config, &record.id, &host, facts).map_err(Error::from)
    };
    let (before, after) = (lines(before)?, lines(after)?);
    let all = before.into_iter().zip(after).map(|((path, old), (_, new))| Edit { path, old, new });
    Ok(all.filter(|edit| edit.old != edit.new).collect())
}
