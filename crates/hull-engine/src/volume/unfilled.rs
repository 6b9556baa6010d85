//! Volumes that wait to be filled.
//!
//! Docker copies what an image has at a volume's place when a container is created; here the
//! container's own machine does it, when it starts. Nobody else may see the difference: before
//! another container gets such a volume, the one that was created for it is visited.

use std::sync::Arc;

use hull_plan::{MountKind, MountPoint};
use tracing::warn;

use super::mounts::is_empty;
use crate::container::entry::Container;
use crate::{Engine, Status};

impl Engine {
    /// Has the volumes of `container`, which is about to start, filled by the containers that were
    /// created before it and have not started yet. The gate of `container` is held: whoever waits
    /// does so for an older container, so no two wait for each other.
    pub(crate) async fn fill_volumes_before(&self, container: &Arc<Container>) {
        for point in &container.record().config.mount_points {
            let MountPoint { kind: MountKind::Volume, name, .. } = point else {
                continue;
            };
            for other in self.first_users(container, name) {
                if !self.inner.volumes.find(name).is_ok_and(|volume| is_empty(&volume.top())) {
                    break;
                }
                // A visit may have to fill volumes itself.
                if let Err(error) = Box::pin(self.inside(&other)).await {
                    warn!(volume = name, %error, "a volume is not filled by its first container");
                }
            }
        }
    }

    /// Returns the containers older than `container` that would fill the volume `name` at their
    /// start, the oldest first.
    fn first_users(&self, container: &Container, name: &str) -> Vec<Arc<Container>> {
        let created = container.record().created;
        let fills = |point: &MountPoint| {
            matches!(point.kind, MountKind::Volume)
                && point.name == name
                && !point.no_copy
                && point.subpath.is_empty()
        };
        let mut found = self.inner.containers.all();
        found.retain(|other| {
            let (record, state) = (other.record(), other.live().state);
            record.created < created
                && state.status == Status::Created
                && state.started_at.is_none()
                && record.config.mount_points.iter().any(fills)
        });
        found.sort_by_key(|other| other.record().created);
        found
    }
}
