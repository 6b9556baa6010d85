//! Connects containers to networks, and takes them off, whether they run or not.

use std::sync::Arc;

use hull_network::model::{Driver, Network};
use hull_plan::EndpointConfig;
use hull_supervisor::launch::InterfaceLaunch;

use super::{Attachment, Attachments, attach};
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
        let asked = network.to_owned();
        self.detached(move |engine| async move { engine.connect(&asked, &container, config).await })
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
            Err(_) if force || !container.is_running() => {
                return self.forget_attachment(network, &container).await;
            }
            other => other?,
        };
        self.detached(
            move |engine| async move { engine.disconnect(&network, &container, force).await },
        )
        .await
    }

    async fn connect(
        &self,
        asked: &str,
        container: &Arc<Container>,
        config: EndpointConfig,
    ) -> Result<()> {
        let _gate = container.gate.lock().await;
        let network = match self.inner.networks.find(asked) {
            // As in Docker, it may be there when the container starts.
            Err(_) if !container.is_running() => None,
            other => Some(other?),
        };
        let before = container.attachments();
        if let Some(network) = &network {
            check(network, &before, &config)?;
        }
        if before.in_none {
            return Err(private());
        }
        let mut attachments = before.clone();
        let is_it = |other: &Attachment| match &network {
            Some(network) => is_in(other, network),
            None => other.asked == asked,
        };
        let name = network.as_ref().map_or(asked, |network| &network.name);
        let mut attachment = Attachment { asked: name.to_owned(), config, ..Attachment::default() };
        match network.as_ref().filter(|_| container.is_running()) {
            Some(network) => {
                if before.list.iter().any(is_it) {
                    return Err(Error::Forbidden(format!(
                        "endpoint with name {} already exists in network {name}",
                        container.record().name
                    )));
                }
                attachment.interface = attachments.next_interface(network.interface_prefix());
                self.plug(network, container, &before, &mut attachment).await?;
            }
            // As in Docker, what was asked for first counts.
            None if before.list.iter().any(is_it) => return Ok(()),
            None => {}
        }
        if network.as_ref().is_some_and(is_none) {
            attachments.in_none = true;
        } else {
            attachments.list.push(attachment);
        }
        attachments.write(&container.dir)?;
        container.set_attachments(attachments);
        if container.is_running() {
            self.settle(container, &before).await?;
        }
        if let Some(network) = network.filter(|_| container.is_running()) {
            self.tell_network(&network, "connect", &[("container", container.id.clone())]);
        }
        Ok(())
    }

    /// Gives a running container an interface in a network.
    async fn plug(
        &self,
        network: &Network,
        container: &Arc<Container>,
        before: &Attachments,
        attachment: &mut Attachment,
    ) -> Result<()> {
        self.lease(&container.id, attachment)?;
        let has_way_out = before.list.iter().any(|other| {
            self.inner.networks.find(&other.network).is_ok_and(|network| !network.internal)
        });
        let gateways = match has_way_out || network.internal {
            true => Vec::new(),
            false => network.subnets.iter().map(|subnet| subnet.gateway).collect(),
        };
        let interface = InterfaceLaunch {
            name: attachment.interface.clone(),
            endpoint: attach::endpoint(&container.record(), attachment, network),
            gateways,
        };
        let task = self.running_task(container)?;
        if let Err(error) = task.connect(interface).await {
            // What the guest did not find is there all the same, with an address that somebody else
            // may get now.
            let (id, interface) = (network.id.clone(), attachment.interface.clone());
            if let Err(error) = task.disconnect(id, interface).await {
                tracing::debug!(container = container.id, %error, "nothing to unplug");
            }
            self.inner.networks.give_back(&container.id, &network.id);
            return Err(Error::supervisor("cannot connect the container")(error));
        }
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
        if is_none(network) && attachments.in_none {
            attachments.in_none = false;
            attachments.write(&container.dir)?;
            container.set_attachments(attachments);
            return Ok(());
        }
        let Some(place) = attachments.list.iter().position(|other| is_in(other, network)) else {
            return Err(Error::Forbidden(format!(
                "container {} is not connected to {}network {}",
                container.id,
                // Docker's words in one of two places.
                if container.is_running() { "" } else { "the " },
                network.name
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
                "container {} is not connected to the network {network}",
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

/// Refuses what Docker refuses of a container that is in some networks already.
fn check(network: &Network, before: &Attachments, config: &EndpointConfig) -> Result<()> {
    let invalid = |text: &str| Err(Error::InvalidParameter(text.to_owned()));
    match network.driver {
        Driver::Host => {
            return invalid(
                "container cannot be disconnected from host network or connected to host network",
            );
        }
        Driver::Null if is_none(network) && !before.list.is_empty() => return Err(private()),
        _ => {}
    }
    let asks_address = config.ipv4_address.is_some() || config.ipv6_address.is_some();
    if network.is_predefined() && asks_address {
        return invalid("user specified IP address is supported on user defined networks only");
    }
    if network.is_predefined() && !config.aliases.is_empty() {
        return invalid(
            "network-scoped alias is supported only for containers in user defined networks",
        );
    }
    let has = |v4: bool| network.subnets.iter().any(|subnet| subnet.gateway.is_ipv4() == v4);
    let missing =
        config.ipv4_address.is_some() && !has(true) || config.ipv6_address.is_some() && !has(false);
    if missing && !network.config_only {
        return invalid(
            "user specified IP address is supported only when connecting to networks with user \
             configured subnets",
        );
    }
    Ok(())
}

/// Whether a network is the one without others in it.
fn is_none(network: &Network) -> bool {
    network.driver == Driver::Null && !network.config_only
}

fn private() -> Error {
    Error::Forbidden(
        "container cannot be connected to multiple networks with one of the networks in private \
         (none) mode"
            .into(),
    )
}

/// Returns whether an attachment is to `network`, by name as long as it has not been started in it.
fn is_in(attachment: &Attachment, network: &Network) -> bool {
    match attachment.network.as_str() {
        "" => attachment.asked == network.name || network.id.starts_with(&attachment.asked),
        id => id == network.id,
    }
}
