//! Sockets of containers on the host.

use std::path::{Path, PathBuf};

use hull_plan::HostConfig;
use hull_supervisor::launch::PublishedSocket;

use super::record::Record;
use crate::{Error, Result};

/// Returns what the supervisor is to publish.
pub(super) fn published(config: &HostConfig) -> Vec<PublishedSocket> {
    let sockets = config.publish_sockets.iter();
    let published = sockets.map(|socket| PublishedSocket {
        host: PathBuf::from(&socket.host_path),
        container: socket.container_path.clone(),
    });
    published.collect()
}

/// Removes what a supervisor that was killed has left of sockets; one that ended has left nothing.
pub(super) fn remove_left(config: &HostConfig) {
    for socket in &config.publish_sockets {
        // Whatever else is there, or cannot be removed, is not the container's any more.
        let _ = hull_socket::remove_stale(Path::new(&socket.host_path));
    }
}

/// Refuses to fork a container that publishes sockets: a path leads to one container.
pub(super) fn refuse_published(record: &Record) -> Result<()> {
    match record.config.host.publish_sockets.first() {
        None => Ok(()),
        Some(socket) => Err(Error::Conflict(format!(
            "cannot fork a container that publishes the socket {}: it can lead to one container \
             only",
            socket.host_path
        ))),
    }
}
