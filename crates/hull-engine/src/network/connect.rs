//! Connects containers to networks, and takes them off, whether they run or not.

use std::sync::Arc;

use hull_network::model::Network;
use hull_plan::EndpointConfig;
use hull_supervisor::launch::InterfaceLaunch;

use super::{Attachment, attach};
use crate::container::entry::Container;
use crate::{Engine, Error, Result};

impl Engine {
    /// Connects a container to a network: at once if it runs, else when it starts.
    ///
    /// # Errors
    /// No such network or container; it is in the network already; its machine has no room for one
    /// more interface.
    pub async fn connect_network(
        &self,
        network: &str,
        container: &str,
        config: EndpointConfig,
    ) -> Result<()> {
        // In Docker's order, which decides what is missed first.
        let container = self.inner.containers.find(container)?;
        let network = self.inner.networks.find(network)?;
        self.detached(
            move |engine| async move { engine.connect(&network, &container, config).await },
        )
        .await
    }

    /// Takes a container off a network.
    ///
    /// # Errors
    /// No such network or container; it is not in the network.
    pub async fn disconnect_network(
        &self,
        network: &str,
        container: &str,
        force: bool,
    ) -> Result<()> {
        let container = self.inner.containers.find(container)?;
        let network = match self.inner.networks.find(network) {
            // Docker's way to be rid of what is left of a network that has gone.
            Err(_) if force => return self.forget_attachment(network, &container).await,
            other => other?,
        };
        self.detached(
            move |engine| async move { engine.disconnect(&network, &container, force).await },
        )
        .await
    }

    async fn connect(
        &self,
        network: &Network,
        container: &Arc<Container>,
        config: EndpointConfig,
    ) -> Result<()> {
        let _gate = container.gate.lock().await;
        let record = container.record();
        if record.config.host.network_mode == "none" {
            return Err(Error::Forbidden(
                "container cannot be connected to multiple networks with one of the networks in \
                 private (none) mode"
                    .into(),
            ));
        }
        let before = container.attachments();
        if before.list.iter().any(|other| is_in(other, network)) {
            return Err(Error::Forbidden(format!(
                "endpoint with name {} already exists in network {}",
                record.name, network.name
            )));
        }
        let mut attachments = before.clone();
        let mut attachment =
            Attachment { asked: network.name.clone(), config, ..Attachment::default() };
        if container.is_running() {
            attachment.interface = attachments.next_interface();
            self.lease(&container.id, &mut attachment)?;
            let has_way_out = before.list.iter().any(|other| {
                self.inner.networks.find(&other.network).is_ok_and(|network| !network.internal)
            });
            let gateways = match has_way_out || network.internal {
                true => Vec::new(),
                false => network.subnets.iter().map(|subnet| subnet.gateway).collect(),
            };
            let interface = InterfaceLaunch {
                name: attachment.interface.clone(),
                endpoint: attach::endpoint(&record, &attachment, network),
                gateways,
            };
            let task = self.running_task(container)?;
            if let Err(error) = task.connect(interface).await {
                self.inner.networks.give_back(&container.id, &network.id);
                return Err(Error::supervisor("cannot connect the container")(error));
            }
        }
        attachments.list.push(attachment);
        attachments.write(&container.dir)?;
        container.set_attachments(attachments);
        if container.is_running() {
            self.settle(container, &before).await?;
        }
        self.tell_network(network, "connect", &[("container", container.id.clone())]);
        Ok(())
    }

    async fn disconnect(
        &self,
        network: &Network,
        container: &Arc<Container>,
        force: bool,
    ) -> Result<()> {
        let _gate = container.gate.lock().await;
        let mut attachments = container.attachments();
        let before = attachments.clone();
        let Some(place) = attachments.list.iter().position(|other| is_in(other, network)) else {
            return Err(Error::Forbidden(format!(
                "container {} is not connected to network {}",
                container.id, network.name
            )));
        };
        let attachment = attachments.list.remove(place);
        if container.is_running() {
            let task = self.running_task(container)?;
            let left = task.disconnect(network.id.clone(), attachment.interface).await;
            if let Err(error) = left
                && !force
            {
                return Err(Error::supervisor("cannot disconnect the container")(error));
            }
        }
        attachments.write(&container.dir)?;
        container.set_attachments(attachments);
        self.inner.networks.give_back(&container.id, &network.id);
        if container.is_running() {
            self.settle(container, &before).await?;
        }
        self.tell_network(network, "disconnect", &[("container", container.id.clone())]);
        Ok(())
    }
}

impl Engine {
    /// Forgets that a container was in a network that there is no more.
    async fn forget_attachment(&self, network: &str, container: &Arc<Container>) -> Result<()> {
        let _gate = container.gate.lock().await;
        let mut attachments = container.attachments();
        let is_other = |one: &Attachment| one.asked != network && one.network != network;
        if attachments.list.iter().all(is_other) {
            return Err(Error::Forbidden(format!(
                "container {} is not connected to network {network}",
                container.id
            )));
        }
        attachments.list.retain(is_other);
        attachments.write(&container.dir)?;
        container.set_attachments(attachments);
        Ok(())
    }
}

impl super::Networks {
    /// Gives up the addresses of a container in a network.
    fn give_back(&self, container: &str, network: &str) {
        if let Some(leases) = self.inside().leases.get_mut(network) {
            leases.retain(|_, holder| holder != container);
        }
    }
}

/// Returns whether an attachment is to `network`, by name as long as it has not been started in it.
fn is_in(attachment: &Attachment, network: &Network) -> bool {
    match attachment.network.as_str() {
        "" => attachment.asked == network.name || network.id.starts_with(&attachment.asked),
        id => id == network.id,
    }
}
