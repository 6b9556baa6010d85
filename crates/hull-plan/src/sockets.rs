//! Unix sockets between host and container.

use serde::{Deserialize, Serialize};

use crate::{Error, HostConfig, MountKind, MountPoint, path};

/// A socket of the host that leads to one of the container.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub struct PublishedSocket {
    /// Where the socket is made while the container runs; absolute.
    pub host_path: String,
    /// Where a process of the container listens; absolute.
    pub container_path: String,
}

/// Where a container has the host's ssh agent, if it has it.
pub const AGENT_SOCKET: &str = "/run/host-services/ssh-auth.sock";

/// Checks what is asked for of sockets.
///
/// # Errors
/// A path is none that a socket can have, or is there twice.
pub fn validate(host: &HostConfig) -> Result<(), Error> {
    let check = |what: &str, path: &str| {
        let reason = match path {
            "" => "must not be empty",
            path if !path.starts_with('/') => "must be absolute",
            path if path.contains('\0') => "must not contain a null byte",
            path if path.ends_with('/') => "must name a socket, not a directory",
            _ => return Ok(()),
        };
        Err(Error::invalid(format!("invalid {what}: {path:?} {reason}")))
    };
    for (index, socket) in host.publish_sockets.iter().enumerate() {
        check("published socket: path on the host", &socket.host_path)?;
        check("published socket: path in the container", &socket.container_path)?;
        let own = path::clean(&socket.host_path);
        let others = &host.publish_sockets[..index];
        if others.iter().any(|other| path::clean(&other.host_path) == own) {
            return Err(Error::invalid(format!(
                "invalid published socket: {:?} is published twice",
                socket.host_path
            )));
        }
    }
    match host.ssh_auth_sock.as_str() {
        "" => Ok(()),
        path => check("socket of the ssh agent", path),
    }
}

/// Returns the variable by which ssh finds the agent in the container, if it has one.
pub(crate) fn variable(host: &HostConfig) -> Option<String> {
    (!host.ssh_auth_sock.is_empty()).then(|| format!("SSH_AUTH_SOCK={AGENT_SOCKET}"))
}

/// Returns the mount of the ssh agent's socket, if the container has it and nothing else there.
pub(crate) fn agent(host: &HostConfig, points: &[MountPoint]) -> Option<MountPoint> {
    let is_taken = points.iter().any(|point| point.destination == AGENT_SOCKET);
    if host.ssh_auth_sock.is_empty() || is_taken {
        return None;
    }
    let source = host.ssh_auth_sock.clone();
    Some(MountPoint { source, ..MountPoint::new(MountKind::Bind, AGENT_SOCKET) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(sockets: &[(&str, &str)]) -> Result<(), String> {
        let publish_sockets = sockets
            .iter()
            .map(|(host, container)| PublishedSocket {
                host_path: (*host).into(),
                container_path: (*container).into(),
            })
            .collect();
        let host = HostConfig { publish_sockets, ..HostConfig::default() };
        validate(&host).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_are_absolute_and_published_once() {
        assert_eq!(published(&[("/a", "/c"), ("/b", "/c")]), Ok(()));
        for (sockets, message) in [
            (&[("a", "/c")][..], "path on the host: \"a\" must be absolute"),
            (&[("/a", "")], "path in the container: \"\" must not be empty"),
            (&[("/a/", "/c")], "path on the host: \"/a/\" must name a socket, not a directory"),
            (&[("/a", "/c"), ("//a", "/d")], "\"//a\" is published twice"),
        ] {
            let error = published(sockets).unwrap_err();
            assert_eq!(error, format!("invalid published socket: {message}"));
        }
    }
}
