//! All about one container.

use std::path::PathBuf;

use hull_plan::ContainerConfig;
use hull_supervisor::Origin;
use hull_supervisor::health::Health;
use jiff::Timestamp;

use super::entry::{Container, Live};
use super::record::Record;
use super::state::{State, Status, Timing};
use super::{launch, timings};
use crate::network::{ContainerEndpoint, PublishedPort, shown};
use crate::{Engine, Result};

/// All about one container.
#[derive(Clone, Debug)]
pub struct Inspect {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without a slash.
    pub name: String,
    pub created: Timestamp,
    /// Program as asked for, before the image's files are looked at.
    pub path: String,
    pub args: Vec<String>,
    pub state: State,
    /// What its checks have found, if there are any.
    pub health: Option<Health>,
    /// Image id, `sha256:<hex>`.
    pub image: String,
    /// Docker's `Platform`: the operating system of the image.
    pub os: String,
    /// For example `amd64`, or `arm64/v8` with a variant.
    pub architecture: String,
    /// Effective: merged with what the image says.
    pub config: ContainerConfig,
    /// Containers that this one is linked to: `/name:/parent/alias`.
    pub links: Vec<String>,
    pub mounts: Vec<Mount>,
    pub endpoints: Vec<ContainerEndpoint>,
    pub ports: Vec<PublishedPort>,
    /// Ids of execs that run.
    pub execs: Vec<String>,
    /// Where users may read its log; only `json-file` shows it.
    pub log_path: Option<PathBuf>,
    pub restart_count: u64,
    /// Bytes, if asked for.
    pub size_rw: Option<u64>,
    /// Bytes, if asked for.
    pub size_root_fs: Option<u64>,
    /// How the machine of the last start came to be.
    pub start: Option<Origin>,
    /// Phases of the last start, in order.
    pub timings: Vec<Timing>,
}

/// A mount in a container, the fields of Docker's `Mounts`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    /// `bind`, `tmpfs` or `volume`.
    pub kind: &'static str,
    /// Name of a volume; empty for all else.
    pub name: String,
    pub source: String,
    pub destination: String,
    pub driver: String,
    pub mode: String,
    pub writable: bool,
    pub propagation: String,
}

impl Engine {
    /// Describes a container; `size` also measures it.
    ///
    /// # Errors
    /// No such container.
    pub async fn inspect(&self, container: &str, size: bool) -> Result<Inspect> {
        let container = self.inner.containers.find(container)?;
        let (record, live) = (container.record(), container.live());
        let (size_rw, size_root_fs) = self.sizes(&container, &record, size).await;
        let architecture = match record.image.variant.as_str() {
            "" => record.image.architecture.clone(),
            variant => format!("{}/{variant}", record.image.architecture),
        };
        Ok(Inspect {
            id: record.id.clone(),
            name: record.name.clone(),
            created: record.created,
            path: record.path.clone(),
            args: record.args.clone(),
            state: container.shown_state(&live),
            health: live.health.clone(),
            image: record.image.id.clone(),
            os: record.image.os.clone(),
            architecture,
            config: record.config.clone(),
            links: self.links_shown(&record),
            mounts: mounts(&record),
            endpoints: self.endpoints(&container, &record, &live),
            ports: shown::ports(&live),
            execs: container.execs().iter().cloned().collect(),
            log_path: launch::log_path(&container.dir, &record)
                .filter(|_| record.config.host.log.driver != "local"),
            restart_count: live.restart.count.into(),
            size_rw,
            size_root_fs,
            start: live.origin.clone(),
            timings: timings::merge(&live.engine_timings, &live.supervisor_timings),
        })
    }
}

impl Container {
    /// Returns the state as users see it.
    pub(crate) fn shown_state(&self, live: &Live) -> State {
        let mut state = live.state.clone();
        if live.removing && !state.status.is_up() {
            state.status = Status::Removing;
        }
        state
    }
}

/// Returns the mounts of a container as Docker lists them: not those of `--tmpfs`.
pub(crate) fn mounts(record: &Record) -> Vec<Mount> {
    let points = record.config.mount_points.iter();
    points
        .map(|point| Mount {
            kind: point.kind.as_str(),
            name: point.name.clone(),
            source: point.source.clone(),
            destination: point.destination.clone(),
            driver: point.driver.clone(),
            mode: point.mode.clone(),
            writable: !point.read_only,
            propagation: point.propagation.clone(),
        })
        .collect()
}
