//! Lists of containers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hull_supervisor::health::HealthStatus;
use jiff::Timestamp;

use super::entry::{Container, Live};
use super::inspect::{Mount, mounts};
use super::record::Record;
use super::state::{State, Status};
use crate::network::{ContainerEndpoint, PublishedPort, ports, shown};
use crate::{Engine, Error, Filters, Result};

/// Which containers.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Also those that do not run.
    pub all: bool,
    /// So many of the newest, running or not; 0 and less: all.
    pub limit: i64,
    /// Also say how big they are.
    pub size: bool,
    /// Keys: `ancestor`, `before`, `exited`, `expose`, `health`, `id`, `is-task`, `isolation`,
    /// `label`, `name`, `network`, `publish`, `since`, `status`, `volume`.
    pub filters: Filters,
}

/// A container in a list.
#[derive(Clone, Debug)]
pub struct Summary {
    pub id: String,
    /// Without a slash.
    pub name: String,
    /// What others that are linked to it call it: `parent/alias`.
    pub links: Vec<String>,
    /// As the user gave it, or the image's id if that name now means another image.
    pub image: String,
    /// `sha256:<hex>`.
    pub image_id: String,
    /// Path and arguments.
    pub command: Vec<String>,
    pub created: Timestamp,
    pub labels: BTreeMap<String, String>,
    pub state: State,
    /// What its checks have found last, if there are any.
    pub health: Option<HealthStatus>,
    pub network_mode: String,
    pub mounts: Vec<Mount>,
    pub endpoints: Vec<ContainerEndpoint>,
    /// `port/protocol`.
    pub exposed_ports: BTreeSet<String>,
    pub ports: Vec<PublishedPort>,
    /// Bytes on the host that the container's own files take; with [`ListOptions::size`].
    pub size_rw: Option<u64>,
    /// Bytes of the image and of the container's own files; with [`ListOptions::size`].
    pub size_root_fs: Option<u64>,
}

impl Engine {
    /// Lists containers, newest first.
    ///
    /// # Errors
    /// An unknown filter or a value that makes no sense.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<Summary>> {
        options.filters.validate(FILTERS)?;
        let query = self.query(&options)?;
        let mut all: Vec<_> = self.inner.containers.all();
        all.sort_by_key(|container| std::cmp::Reverse(container.record().created));
        let all = all.as_slice();
        // `before` leaves out what comes up to it in the list, `since` what comes from it on.
        let begin = match &query.before {
            Some(id) => all.iter().position(|c| c.id == *id).map_or(all.len(), |at| at + 1),
            None => 0,
        };
        let end = match &query.since {
            Some(id) => all.iter().position(|c| c.id == *id).unwrap_or(all.len()),
            None => all.len(),
        };
        let limit = usize::try_from(options.limit).ok().filter(|limit| *limit > 0);
        let mut list = Vec::new();
        let mut links = self.names_by_links();
        for container in all.get(begin..end).unwrap_or_default() {
            if limit.is_some_and(|limit| list.len() == limit) {
                break;
            }
            let (record, live) = (container.record(), container.live());
            if !live.removed && query.includes(&options.filters, container, &record, &live) {
                let links = links.remove(&container.id).unwrap_or_default();
                let summary = self.summary(container, &record, live, options.size).await;
                list.push(Summary { links, ..summary });
            }
        }
        Ok(list)
    }

    async fn summary(
        &self,
        container: &Arc<Container>,
        record: &Record,
        live: Live,
        size: bool,
    ) -> Summary {
        let (size_rw, size_root_fs) = self.sizes(container, record, size).await;
        Summary {
            id: container.id.clone(),
            name: record.name.clone(),
            links: Vec::new(),
            image: self.image_shown(record),
            image_id: record.image.id.clone(),
            command: std::iter::once(&record.path).chain(&record.args).cloned().collect(),
            created: record.created,
            labels: record.config.labels.clone(),
            endpoints: self.endpoints(container, record, &live),
            // Those of one in no network nobody could reach.
            exposed_ports: match live.state.status.is_running()
                && !container.attachments().list.is_empty()
            {
                true => record.config.exposed_ports.clone(),
                false => BTreeSet::new(),
            },
            ports: shown::ports(&live),
            state: container.shown_state(&live),
            health: live.health.as_ref().map(|health| health.status),
            network_mode: record.config.host.network_mode.clone(),
            mounts: mounts(record),
            size_rw,
            size_root_fs,
        }
    }

    /// Returns the image's name as given, unless that name means another image now.
    fn image_shown(&self, record: &Record) -> String {
        let given = &record.config.image;
        match self.image_id(given) {
            Some(id) if id == record.image.id => given.clone(),
            _ => record.image.id.clone(),
        }
    }

    fn query(&self, options: &ListOptions) -> Result<Query> {
        let filters = &options.filters;
        let mut exited = BTreeSet::new();
        for value in filters.values("exited") {
            exited.insert(value.parse().map_err(|_| {
                Error::InvalidParameter(format!(
                    "invalid filter 'exited={value}': strconv.Atoi: parsing {value:?}: invalid syntax"
                ))
            })?);
        }
        for value in filters.values("status") {
            if !Status::ALL.iter().any(|status| status.as_str() == value) {
                return Err(Error::InvalidParameter(format!(
                    "invalid filter 'status={value}': invalid value for state ({value}): must be \
                     one of created, running, paused, restarting, removing, exited, dead"
                )));
            }
        }
        for value in filters.values("health") {
            if !["none", "starting", "healthy", "unhealthy"].contains(&value.as_str()) {
                return Err(Error::InvalidParameter(format!(
                    "invalid filter 'health={value}': invalid value for health-status ({value}): \
                     must be one of none, starting, healthy, unhealthy"
                )));
            }
        }
        for key in ["publish", "expose"] {
            if let Some(value) = filters.values(key).iter().find(|value| value.contains(':')) {
                return Err(Error::InvalidParameter(format!(
                    "filter for '{key}' should not contain ':': {value}"
                )));
            }
        }
        let neighbour = |key: &str| -> Result<Option<String>> {
            match filters.values(key).last() {
                Some(value) => Ok(Some(self.inner.containers.find(value)?.id.clone())),
                None => Ok(None),
            }
        };
        Ok(Query {
            all: options.all || options.limit > 0 || filters.contains("status"),
            exited,
            before: neighbour("before")?,
            since: neighbour("since")?,
            ids: filters.contains("id").then(|| {
                let found = filters.values("id").iter();
                found
                    .filter_map(|id| self.inner.containers.find(id).ok())
                    .map(|container| container.id.clone())
                    .collect()
            }),
            ancestors: filters.contains("ancestor").then(|| {
                let images = filters.values("ancestor").iter();
                images.filter_map(|image| self.image_id(image)).collect()
            }),
            is_task: filters.boolean("is-task")?,
            published: ports::expand_all(filters.values("publish"))?,
            exposed: ports::expand_all(filters.values("expose"))?,
        })
    }
}

/// What a list's filters mean.
#[derive(Debug)]
struct Query {
    all: bool,
    exited: BTreeSet<i32>,
    before: Option<String>,
    since: Option<String>,
    ids: Option<BTreeSet<String>>,
    ancestors: Option<BTreeSet<String>>,
    is_task: Option<bool>,
    /// `port/protocol` each.
    published: Vec<String>,
    exposed: Vec<String>,
}

impl Query {
    fn includes(
        &self,
        filters: &Filters,
        container: &Arc<Container>,
        record: &Record,
        live: &Live,
    ) -> bool {
        let state = container.shown_state(live);
        let running = live.state.status.is_up();
        let has_exited = !running && live.state.started_at.is_some();
        let isolation = match record.config.host.isolation.as_str() {
            "" | "default" => "vm",
            isolation => isolation,
        };
        let health = live.health.as_ref().map_or("none", |health| health.status.as_str());
        let volumes = mounts(record);
        let volume = !filters.contains("volume")
            || filters.values("volume").iter().any(|value| {
                let is = |mount: &Mount| mount.name == *value || mount.destination == *value;
                volumes.iter().any(is)
            });
        (running || self.all)
            && (filters.matches("name", &record.name)
                || filters.matches("name", &format!("/{}", record.name)))
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&container.id))
            && filters.all_labels("label", &record.config.labels)
            && (self.exited.is_empty()
                || has_exited && self.exited.contains(&live.state.exit_code))
            && filters.matches("status", state.status.as_str())
            && filters.is_exactly("health", health)
            && (!filters.contains("network")
                || is_in(container, filters.values("network")))
            && filters.is_exactly("isolation", isolation)
            && volume
            && (!filters.contains("publish")
                || ports::asked_for(&record.config)
                    .iter()
                    .any(|port| self.published.contains(port)))
            && (!filters.contains("expose")
                || self.exposed.iter().any(|port| record.config.exposed_ports.contains(port)))
            // No container is part of a service.
            && self.is_task != Some(true)
            && self
                .ancestors
                .as_ref()
                .is_none_or(|images| images.contains(&record.image.id))
    }
}

/// Whether a container is in one of `networks`, names or identifiers.
fn is_in(container: &Container, networks: &[String]) -> bool {
    let is = |name: &str| networks.iter().any(|network| network == name);
    let attachments = container.attachments();
    if attachments.in_none {
        return is("none");
    }
    let mut known = attachments.list.iter().flat_map(|one| [&one.asked, &one.network]);
    known.any(|name| is(name))
}

const FILTERS: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
