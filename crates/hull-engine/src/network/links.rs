//! `--link`: containers that know others in the default network by an alias.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hull_network::model::DEFAULT;
use hull_plan::{ContainerConfig, Link, Linked};

use crate::container::entry::Container;
use crate::container::record::Record;
use crate::{Engine, Error, Result};

impl Engine {
    /// Finds the containers that a new one is linked to. In a network of the user's, links are names
    /// that the name server knows, and nobody has to be there.
    pub(crate) fn find_links(&self, config: &mut ContainerConfig) -> Result<()> {
        if is_users(&config.host.network_mode) {
            config.host.links.clear();
        }
        for link in &mut config.host.links {
            let found = self.inner.containers.find(&link.container).map_err(|error| {
                // Not found would be taken for the image.
                let context = format!("could not get container for {}", link.container);
                Error::InvalidParameter(error.within(context).to_string())
            });
            let found = found?;
            link.container.clone_from(&found.id);
            link.name.clone_from(&found.record().name);
        }
        // As in Docker, the first who is called so is the one.
        let mut seen = BTreeSet::new();
        config.host.links.retain(|link| seen.insert(link.alias.clone()));
        Ok(())
    }

    /// Returns what a container that starts, or a process in it, is told of those that it is linked
    /// to.
    ///
    /// # Errors
    /// One of them does not run, or is not in the default network.
    pub(crate) fn linked(&self, container: &Container) -> Result<Vec<Linked>> {
        let record = container.record();
        let attachments = container.attachments();
        if !attachments.list.iter().any(|attachment| attachment.asked == DEFAULT) {
            return Ok(Vec::new());
        }
        let failed = |context: String| Err(Error::Internal { context, source: None });
        let mut all = Vec::new();
        for link in &record.config.host.links {
            let alias = link.alias.clone();
            let Some(other) = self.target(link).filter(|other| other.is_running()) else {
                return failed(format!(
                    "Cannot link to a non running container: /{} AS /{}/{alias}",
                    self.name_of(link),
                    record.name
                ));
            };
            let (name, config) = (other.record().name.clone(), other.record().config.clone());
            let attachments = other.attachments();
            let in_default = attachments.list.iter().find(|attachment| attachment.asked == DEFAULT);
            let Some(attachment) = in_default else {
                return failed(format!(
                    "Cannot link to /{name}, as it does not belong to the default network"
                ));
            };
            all.push(Linked {
                alias,
                parent: record.name.clone(),
                name,
                hostname: hull_plan::hostname(&config, &other.id).to_owned(),
                addresses: attachment.addresses().collect(),
                env: config.env,
                exposed_ports: config.exposed_ports,
            });
        }
        Ok(all)
    }

    /// Returns the links of a container as users see them: `/name:/parent/alias`.
    pub(crate) fn links_shown(&self, record: &Record) -> Vec<String> {
        let all = record.config.host.links.iter();
        all.map(|link| format!("/{}:/{}/{}", self.name_of(link), record.name, link.alias)).collect()
    }

    /// Returns what containers are called because others are linked to them, by identifier:
    /// `parent/alias`.
    pub(crate) fn names_by_links(&self) -> BTreeMap<String, Vec<String>> {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for parent in self.inner.containers.all() {
            let record = parent.record();
            for link in &record.config.host.links {
                let name = format!("{}/{}", record.name, link.alias);
                names.entry(link.container.clone()).or_default().push(name);
            }
        }
        names.values_mut().for_each(|names| names.sort());
        names
    }

    /// Keeps what a container is called from now on with those that are linked to it.
    pub(crate) fn rename_in_links(&self, id: &str, name: &str) -> Result<()> {
        for parent in self.inner.containers.all() {
            let mut record = (*parent.record()).clone();
            let links = &mut record.config.host.links;
            let mut changed = false;
            for link in links.iter_mut().filter(|link| link.container == id) {
                link.name = name.to_owned();
                changed = true;
            }
            if changed {
                record.write(&parent.dir)?;
                parent.set_record(record);
            }
        }
        Ok(())
    }

    /// Removes a link, `parent/alias`; both containers stay.
    ///
    /// # Errors
    /// No such link, or the name of a container.
    pub async fn remove_link(&self, name: &str) -> Result<()> {
        self.inner.containers.find(name)?;
        let Some((parent, alias)) = name.trim_start_matches('/').rsplit_once('/') else {
            return Err(Error::Conflict(
                "Conflict, cannot remove the default link name of the container".into(),
            ));
        };
        let parent = self.inner.containers.find(parent)?;
        let _gate = parent.gate.lock().await;
        let mut record = (*parent.record()).clone();
        record.config.host.links.retain(|link| link.alias != alias);
        let dir = parent.dir.clone();
        let written = tokio::task::spawn_blocking(move || record.write(&dir).map(|()| record))
            .await
            .map_err(|error| Error::internal("removing a link was interrupted", error))?;
        parent.set_record(written?);
        Ok(())
    }

    fn target(&self, link: &Link) -> Option<Arc<Container>> {
        self.inner.containers.find(&link.container).ok()
    }

    /// Returns what a linked container is called, or was when it was still there.
    fn name_of(&self, link: &Link) -> String {
        self.target(link).map_or_else(|| link.name.clone(), |other| other.record().name.clone())
    }
}

/// Whether a network mode names a network that somebody made.
fn is_users(mode: &str) -> bool {
    !matches!(mode, "" | "default" | "bridge" | "none" | "host") && !mode.starts_with("container:")
}
