//! What a container is given when it is created: volumes are found or made.

use hull_plan::{ContainerConfig, MountKind, MountPoint, parse_volumes_from, requested_mounts};

use super::{CreateVolume, LOCAL, Volume};
use crate::{Engine, Error, Result};

impl Engine {
    /// Fills in the mounts of a container that is being created: from other containers, from what
    /// was asked for, and anonymous volumes for the rest.
    pub(crate) async fn provide_mounts(&self, config: &mut ContainerConfig) -> Result<Made<'_>> {
        let mut made = Made { engine: self, names: Vec::new() };
        let mut points = Vec::new();
        for text in &config.host.volumes_from {
            let (container, writable) = parse_volumes_from(text)?;
            let other = self.inner.containers.find(container)?;
            for point in &other.record().config.mount_points {
                let read_only = point.read_only || !writable;
                put(&mut points, MountPoint { read_only, no_copy: true, ..point.clone() });
            }
        }
        for point in requested_mounts(config)? {
            let point = match point.kind {
                MountKind::Volume => self.find_volume(point, &mut made)?,
                MountKind::Bind => check_bind(point)?,
                MountKind::Tmpfs => point,
            };
            put(&mut points, point);
        }
        let tmpfs: Vec<String> = config.host.tmpfs.keys().map(|path| clean(path)).collect();
        for destination in &config.volumes {
            let mut point = MountPoint::new(MountKind::Volume, destination);
            let is_taken = points.iter().any(|other| other.destination == point.destination)
                || tmpfs.contains(&point.destination);
            if !is_taken {
                point.anonymous = true;
                point.driver.clone_from(&config.host.volume_driver);
                let mut point = self.find_volume(point, &mut made)?;
                point.mode.clear();
                points.push(point);
            }
        }
        config.mount_points = points;
        Ok(made)
    }

    fn find_volume(&self, mut point: MountPoint, made: &mut Made<'_>) -> Result<MountPoint> {
        let existed = self.inner.volumes.find(&point.name).is_ok();
        let volume: Volume = self.make_volume(CreateVolume {
            name: point.name,
            driver: point.driver,
            labels: std::mem::take(&mut point.volume_labels),
            options: std::mem::take(&mut point.volume_options),
        })?;
        if !existed {
            made.names.push(volume.name.clone());
        }
        point.source = volume.mountpoint.to_string_lossy().into_owned();
        point.name = volume.name;
        point.driver = LOCAL.into();
        if point.mode.is_empty() {
            // What Docker shows for every volume of its own driver.
            point.mode = "z".into();
        }
        Ok(point)
    }
}

/// Volumes that were made for a container that does not exist yet.
pub(crate) struct Made<'a> {
    engine: &'a Engine,
    names: Vec<String>,
}

impl Made<'_> {
    pub(crate) fn keep(mut self) {
        self.names.clear();
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            // Docker leaves those with names, which may have been meant to stay.
            let is_anonymous = self.engine.volume(name).is_ok_and(|volume| volume.is_anonymous());
            if is_anonymous && self.engine.inner.volumes.remove(name).is_ok() {
                self.engine.tell_volume("destroy", name, &[]);
            }
        }
    }
}

/// A later mount takes an earlier one's place.
fn put(points: &mut Vec<MountPoint>, point: MountPoint) {
    points.retain(|other| other.destination != point.destination);
    points.push(point);
}

/// What `--mount` names must be there; what `-v` names is made at the start.
fn check_bind(point: MountPoint) -> Result<MountPoint> {
    if point.create_source || std::path::Path::new(&point.source).exists() {
        return Ok(point);
    }
    Err(Error::InvalidParameter(format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {}",
        point.source
    )))
}

fn clean(path: &str) -> String {
    MountPoint::new(MountKind::Tmpfs, path).destination
}
