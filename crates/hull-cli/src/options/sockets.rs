//! Flags about unix sockets between host and container.

use std::env;
use std::path::absolute;

use serde_json::{Value as Json, json};

use super::sparse::Sparse;
use crate::error::Failure;
use crate::flags::FlagSet;

/// Sockets between host and container.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    publish: Vec<String>,
    ssh: bool,
}

impl Sockets {
    /// Adds the flags.
    #[rustfmt::skip]
    pub(super) fn register<'a>(&'a mut self, flags: &mut FlagSet<'a>) {
        flags.long(&mut self.publish, "publish-socket", "Publish a unix socket of the container to the host (host_path:container_path)");
        flags.long(&mut self.ssh, "ssh", "Forward the ssh agent of the host (SSH_AUTH_SOCK) to the container");
    }

    /// Adds what was given, as Hull's fields of Docker's `HostConfig`.
    pub(super) fn fill(&self, host: &mut Sparse) -> Result<(), Failure> {
        host.put("PublishSockets", published_sockets(&self.publish)?);
        if self.ssh {
            host.put("SshAuthSock", json!(agent(env::var_os("SSH_AUTH_SOCK"))?));
        }
        Ok(())
    }
}

/// Reads `host_path:container_path` of each.
pub(crate) fn published_sockets(texts: &[String]) -> Result<Json, Failure> {
    let published: Vec<Json> = texts.iter().map(|text| publish(text)).collect::<Result<_, _>>()?;
    Ok(json!(published))
}

/// Reads `host_path:container_path`.
fn publish(text: &str) -> Result<Json, Failure> {
    let malformed = |reason: &str| {
        Failure::with_hint(
            format!("invalid argument {text:?} for \"--publish-socket\" flag: {reason}"),
            "use host_path:container_path, for example /tmp/app.sock:/run/app.sock",
        )
    };
    let (host, container) = match text.split(':').collect::<Vec<_>>()[..] {
        [host, container] if !host.is_empty() && !container.is_empty() => (host, container),
        _ => return Err(malformed("two paths with a colon between are needed")),
    };
    if !container.starts_with('/') {
        return Err(malformed("the path in the container must be absolute"));
    }
    // The daemon has another working directory.
    let host = absolute(host)?.to_string_lossy().into_owned();
    Ok(json!({"HostPath": host, "ContainerPath": container}))
}

/// Returns the path of the agent's socket.
fn agent(variable: Option<std::ffi::OsString>) -> Result<String, Failure> {
    match variable.filter(|path| !path.is_empty()) {
        Some(path) => Ok(absolute(path)?.to_string_lossy().into_owned()),
        None => Err(Failure::with_hint(
            "--ssh: there is no ssh agent: SSH_AUTH_SOCK is not set",
            "start one with: eval \"$(ssh-agent)\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_paths_with_a_colon_between() {
        let wanted = json!({"HostPath": "/h/a", "ContainerPath": "/c/b"});
        assert_eq!(publish("/h/a:/c/b").unwrap(), wanted);
        let here = env::current_dir().unwrap();
        assert_eq!(publish("a:/b").unwrap()["HostPath"], json!(here.join("a").to_str()));
        for text in ["", "/a", "/a:", ":/b", "/a:b", "/a:/b:/c"] {
            assert!(publish(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_agent_must_be_named() {
        assert!(agent(None).is_err() && agent(Some("".into())).is_err());
        assert_eq!(agent(Some("/tmp/a".into())).unwrap(), "/tmp/a");
    }
}
