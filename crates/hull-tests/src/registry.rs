//! Debian's `docker-registry` on a loopback port.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::Image;
use crate::command::run;
use crate::images::layout;
use crate::server::Server;

/// A registry with storage of its own, gone with the value.
#[derive(Debug)]
pub struct Registry {
    _server: Server,
    dir: TempDir,
    port: u16,
}

impl Registry {
    /// Starts an empty registry.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("hull-registry-").tempdir().expect("a temp dir");
        let port = free_port();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n\
             \x20 delete: {{enabled: true}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            dir.path().join("storage").display()
        );
        let file = dir.path().join("config.yml");
        std::fs::write(&file, config).expect("config.yml");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file);
        let server = Server::start(&mut command, &dir.path().join("log"), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { _server: server.unwrap_or_else(|error| panic!("{error}")), dir, port }
    }

    /// Starts a registry that has `images`, pushed by skopeo.
    pub fn with_images(images: &[Image]) -> Self {
        let registry = Self::start();
        for image in images {
            let source = format!("oci:{}:{}", layout().display(), image.name());
            registry.push(&source, image.name());
        }
        registry
    }

    /// Copies `source` (skopeo's notation) to `name:latest`.
    pub fn push(&self, source: &str, name: &str) {
        let target = format!("docker://{}/{name}:latest", self.address());
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "copy", "-q", "--dest-tls-verify=false"]);
        run(command.args([source, &target]), Duration::from_secs(300)).success();
    }

    /// Gives what is called `repository:old` (with the registry's address) another tag.
    pub fn copy(&self, repository: &str, old: &str, new: &str) {
        let name = |tag: &str| format!("docker://{repository}:{tag}");
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "copy", "-q"]);
        command.args(["--src-tls-verify=false", "--dest-tls-verify=false", &name(old), &name(new)]);
        run(&mut command, Duration::from_secs(300)).success();
    }

    /// Returns `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the name under which the registry has `image`.
    pub fn name(&self, image: &Image) -> String {
        format!("{}/{}", self.address(), image.name())
    }

    /// Returns the registry's directory; `storage` in it has the blobs.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Returns a port of the loopback interface that nothing listens on right now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
