//! Debian's Docker as the oracle: the same case is run under it and under Hull.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::command::{Output, run, run_with_input};
use crate::server::Server;
use crate::{Image, Registry, archive};

const LIMIT: Duration = Duration::from_secs(120);

/// A Docker engine of the test's own, without networks, gone with the value.
#[derive(Debug)]
pub struct Docker {
    _server: Server,
    dir: TempDir,
}

impl Docker {
    /// Starts an engine; the error says why this machine runs none.
    pub fn start() -> Result<Self, String> {
        let mut command = Command::new("dockerd");
        command.args(["--bridge=none"]);
        Self::start_as(command)
    }

    /// Starts an engine with networks, which are in a network namespace of its own: it reaches no
    /// registry, and nobody reaches its containers but they themselves.
    pub fn with_networks() -> Result<Self, String> {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up; exec dockerd \"$@\"", "sh"]);
        Self::start_as(command)
    }

    /// Loads an image: it is then called `NAME:latest`.
    pub fn load(&self, image: Image) {
        let path = archive(image, self.dir.path());
        self.docker(&["load", "-q", "-i", &path.display().to_string()]).success();
    }

    fn start_as(mut command: Command) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("dockerd, the oracle, needs root".into());
        }
        let dir = tempfile::Builder::new()
            .prefix("hull-docker-")
            .tempdir()
            .map_err(|error| error.to_string())?;
        let socket = dir.path().join("d.sock");
        command
            .arg(format!("--data-root={}", dir.path().join("data").display()))
            .arg(format!("--exec-root={}", dir.path().join("exec").display()))
            .arg(format!("--pidfile={}", dir.path().join("pid").display()))
            .arg(format!("--host=unix://{}", socket.display()))
            .args(["--iptables=false", "--ip6tables=false", "--log-level=error"]);
        let server = Server::start(&mut command, &dir.path().join("log"), || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        })?;
        Ok(Self { _server: server, dir })
    }

    /// Pulls `images` from `registry`.
    pub fn pull(&self, registry: &Registry, images: &[Image]) {
        for image in images {
            self.docker(&["pull", "-q", &registry.name(image)]).success();
        }
    }

    /// Returns a command that runs docker's client against this engine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        client(&self.dir.path().join("d.sock"), arguments)
    }

    /// Runs docker without input.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments), LIMIT)
    }

    /// Runs docker with `input` as its standard input.
    #[track_caller]
    pub fn docker_with_input(&self, arguments: &[&str], input: impl Into<Vec<u8>>) -> Output {
        run_with_input(&mut self.command(arguments), input.into(), LIMIT)
    }

    /// Returns whether docker's client words its messages as current ones do: Debian 12's own does
    /// not, and its standard error is not compared then.
    pub fn words_are_current(&self) -> bool {
        let version = self.docker(&["version", "--format", "{{.Client.Version}}"]).text();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        major.is_some_and(|major| major >= 28)
    }

    /// Returns docker's client, to be used against Hull's own socket.
    pub fn client(socket: &std::path::Path, arguments: &[&str]) -> Output {
        run(&mut client(socket, arguments), LIMIT)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // The engine asks them to end and does not wait for long: a shim would be left with each.
        let running = self.docker(&["ps", "-q"]).text();
        if !running.is_empty() {
            let ids = running.lines();
            self.docker(&["rm", "-f"].into_iter().chain(ids).collect::<Vec<_>>());
        }
    }
}

fn client(socket: &std::path::Path, arguments: &[&str]) -> Command {
    let mut host = PathBuf::from("unix://").into_os_string();
    host.push(socket);
    let mut command = Command::new("docker");
    command.args(arguments).env("DOCKER_HOST", host).env_remove("DOCKER_CONTEXT");
    command
}
