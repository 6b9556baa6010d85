//! Sockets of containers on the host.

use std::path::{Path, PathBuf};

use hull_plan::{HostConfig, PublishedSocket as PublishSocket};
use hull_supervisor::launch::PublishedSocket;

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

/// Returns what the child with this number publishes of `asked`: of several children each has paths of
/// its own on the host, as each has a name.
pub(super) fn of_child(asked: &[PublishSocket], number: Option<u32>) -> Vec<PublishSocket> {
    let mut own = asked.to_vec();
    for socket in &mut own {
        if let Some(number) = number {
            socket.host_path.push_str(&format!("-{number}"));
        }
    }
    own
}

/// Returns what to tell who forks a container whose sockets its children do not publish: a path leads
/// to one container.
pub(super) fn left_out(source: &HostConfig, asked: &[PublishSocket]) -> Vec<String> {
    let is_asked = |path: &str| asked.iter().any(|socket| socket.container_path == path);
    let left_out = source.publish_sockets.iter().filter(|socket| !is_asked(&socket.container_path));
    left_out
        .map(|socket| {
            let PublishSocket { host_path, container_path } = socket;
            format!(
                "{host_path} leads to the source only; publish {container_path} of the copy with \
                 --publish-socket HOST_PATH:{container_path}"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_have_paths_of_their_own() {
        let socket = |host: &str, container: &str| PublishSocket {
            host_path: host.into(),
            container_path: container.into(),
        };
        let asked = [socket("/h/a", "/c/a")];
        assert_eq!(of_child(&asked, None), asked);
        assert_eq!(of_child(&asked, Some(2)), [socket("/h/a-2", "/c/a")]);
        let publish_sockets = vec![socket("/s/a", "/c/a"), socket("/s/b", "/c/b")];
        let source = HostConfig { publish_sockets, ..HostConfig::default() };
        let told = left_out(&source, &asked);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("/s/b") && told[0].contains("HOST_PATH:/c/b"), "{told:?}");
    }
}
