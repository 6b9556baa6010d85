//! The flags that `run` and `create` share, and the request that they make.

use std::collections::BTreeMap;
use std::path::absolute;

use serde_json::{Value as Json, json};

use super::capabilities;
use super::health::HealthOptions;
use super::resources::{Devices, Limits};
use super::sockets::Sockets;
use super::surroundings::Surroundings;
use super::{
    Attach, Env, Labels, Memory, Mounts, Networks, Sparse, Sysctls, Ulimits, Volumes,
    read_env_file, read_label_file, restart_policy,
};
use crate::error::Failure;
use crate::flags::FlagSet;

/// What a container shall be.
#[derive(Debug, Default)]
pub(crate) struct ContainerOptions {
    pub(crate) attach: Attach,
    pub(crate) interactive: bool,
    pub(crate) tty: bool,
    pub(crate) remove: bool,
    pub(crate) name: String,
    pub(crate) platform: String,
    pub(crate) cidfile: String,
    cap_add: Vec<String>,
    cap_drop: Vec<String>,
    devices: Devices,
    domainname: String,
    entrypoint: Option<String>,
    env: Env,
    env_file: Vec<String>,
    health: HealthOptions,
    hostname: String,
    init: Option<bool>,
    isolation: String,
    kernel: String,
    labels: Labels,
    label_file: Vec<String>,
    limits: Limits,
    network: Networks,
    privileged: bool,
    read_only: bool,
    restart: String,
    shm_size: Memory,
    sockets: Sockets,
    stop_signal: String,
    stop_timeout: Option<i64>,
    surroundings: Surroundings,
    sysctls: Sysctls,
    tmpfs: Vec<String>,
    mounts: Mounts,
    storage_opt: Vec<String>,
    ulimits: Ulimits,
    user: String,
    volumes: Vec<String>,
    volume_driver: String,
    volumes_from: Vec<String>,
    workdir: String,
}

impl ContainerOptions {
    /// Adds the flags.
    #[rustfmt::skip]
    pub(crate) fn register<'a>(&'a mut self, flags: &mut FlagSet<'a>) {
        flags.stop_at_argument();
        self.devices.register(flags);
        self.health.register(flags);
        self.limits.register(flags);
        self.sockets.register(flags);
        self.surroundings.register(flags);
        flags.both(&mut self.attach, 'a', "attach", "Attach to STDIN, STDOUT or STDERR");
        flags.long(&mut self.cap_add, "cap-add", "Add Linux capabilities");
        flags.long(&mut self.cap_drop, "cap-drop", "Drop Linux capabilities");
        flags.long(&mut self.cidfile, "cidfile", "Write the container ID to the file");
        flags.long(&mut self.domainname, "domainname", "Container NIS domain name");
        flags.long(&mut self.entrypoint, "entrypoint", "Overwrite the default ENTRYPOINT of the image");
        flags.both(&mut self.env, 'e', "env", "Set environment variables");
        flags.long(&mut self.env_file, "env-file", "Read in a file of environment variables");
        flags.both(&mut self.hostname, 'h', "hostname", "Container host name");
        flags.long(&mut self.init, "init", "Run an init inside the container that forwards signals and reaps processes");
        flags.both(&mut self.interactive, 'i', "interactive", "Keep STDIN open even if not attached");
        flags.long(&mut self.isolation, "isolation", "Container isolation technology: \"vm\" (default)");
        flags.long(&mut self.kernel, "kernel", "Boot the container's machine with this kernel");
        flags.both(&mut self.labels, 'l', "label", "Set meta data on a container");
        flags.long(&mut self.label_file, "label-file", "Read in a line delimited file of labels");
        flags.long(&mut self.mounts, "mount", "Attach a filesystem mount to the container");
        flags.long(&mut self.name, "name", "Assign a name to the container");
        self.network.register(flags);
        flags.long(&mut self.platform, "platform", "Set platform if server is multi-platform capable");
        flags.long(&mut self.privileged, "privileged", "Give extended privileges to this container");
        flags.long(&mut self.read_only, "read-only", "Mount the container's root filesystem as read only");
        flags.long(&mut self.restart, "restart", "Restart policy to apply when a container exits");
        flags.long(&mut self.remove, "rm", "Automatically remove the container and its associated anonymous volumes when it exits");
        flags.long(&mut self.shm_size, "shm-size", "Size of /dev/shm");
        flags.long(&mut self.stop_signal, "stop-signal", "Signal to stop the container");
        flags.long(&mut self.stop_timeout, "stop-timeout", "Timeout (in seconds) to stop a container");
        flags.long(&mut self.storage_opt, "storage-opt", "Storage driver options for the container");
        flags.long(&mut self.sysctls, "sysctl", "Sysctl options");
        flags.long(&mut self.tmpfs, "tmpfs", "Mount a tmpfs directory");
        flags.both(&mut self.tty, 't', "tty", "Allocate a pseudo-TTY");
        flags.long(&mut self.ulimits, "ulimit", "Ulimit options");
        flags.both(&mut self.user, 'u', "user", "Username or UID (format: <name|uid>[:<group|gid>])");
        flags.both(&mut self.volumes, 'v', "volume", "Bind mount a volume");
        flags.long(&mut self.volume_driver, "volume-driver", "Optional volume driver for the container");
        flags.long(&mut self.volumes_from, "volumes-from", "Mount volumes from the specified container(s)");
        flags.both(&mut self.workdir, 'w', "workdir", "Working directory inside the container");
    }

    /// Returns which streams a client attaches to.
    pub(crate) fn attached(&self) -> Attach {
        if self.attach.given {
            return Attach { stdin: self.attach.stdin || self.interactive, ..self.attach.clone() };
        }
        Attach { given: false, stdin: self.interactive, stdout: true, stderr: true }
    }

    /// Returns the body of the request that creates the container; only what was asked for is in
    /// it. `attached` says which streams a client will attach to.
    pub(crate) fn body(
        &self,
        image: &str,
        command: &[String],
        attached: &Attach,
    ) -> Result<Json, Failure> {
        let mut env = Vec::new();
        for path in &self.env_file {
            env.extend(read_env_file(path)?);
        }
        env.extend(self.env.0.iter().cloned());
        let mut labels = Labels::default();
        for path in &self.label_file {
            read_label_file(path)?.iter().for_each(|label| labels.add(label));
        }
        labels.0.extend(self.labels.0.clone());

        let mut body = Sparse::default();
        body.put("Image", json!(image));
        body.put("Hostname", json!(self.hostname));
        body.put("Domainname", json!(self.domainname));
        body.put("User", json!(self.user));
        body.put("AttachStdin", json!(attached.stdin));
        body.put("AttachStdout", json!(attached.stdout));
        body.put("AttachStderr", json!(attached.stderr));
        body.put("Tty", json!(self.tty));
        body.put("OpenStdin", json!(self.interactive));
        body.put("StdinOnce", json!(self.interactive && attached.stdin));
        body.put("Env", json!(env));
        body.put("Cmd", json!(command));
        body.put("WorkingDir", json!(self.workdir));
        body.put("Labels", json!(labels.0));
        body.put("StopSignal", json!(self.stop_signal));
        body.put("Healthcheck", self.health.json()?);
        if let Some(entrypoint) = &self.entrypoint {
            // An empty one takes the image's away.
            body.0.insert("Entrypoint".into(), json!([entrypoint]));
        }
        if let Some(timeout) = self.stop_timeout {
            body.0.insert("StopTimeout".into(), json!(timeout));
        }
        let volumes = Volumes::parse(&self.volumes)?;
        body.put("Volumes", volumes.anonymous());
        body.put("ExposedPorts", self.network.exposed()?);
        body.put("NetworkingConfig", self.network.endpoints()?);
        body.put("HostConfig", self.host_config(&volumes)?);
        Ok(Json::Object(body.0))
    }

    fn host_config(&self, volumes: &Volumes) -> Result<Json, Failure> {
        let tmpfs: BTreeMap<&str, &str> =
            self.tmpfs.iter().map(|text| text.split_once(':').unwrap_or((text, ""))).collect();
        let kernel = match self.kernel.as_str() {
            "" => String::new(),
            // The daemon has another working directory.
            path => absolute(path)?.to_string_lossy().into_owned(),
        };
        if self.remove && !matches!(self.restart.as_str(), "" | "no") {
            return Err(Failure::new(
                "conflicting options: cannot specify both --restart and --rm",
            ));
        }
        let mut host = Sparse::default();
        self.limits.fill(&mut host);
        self.devices.fill(&mut host)?;
        self.sockets.fill(&mut host)?;
        self.surroundings.fill(&mut host)?;
        if !self.restart.is_empty() {
            host.put("RestartPolicy", restart_policy(&self.restart)?);
        }
        host.put("NetworkMode", json!(self.network.mode()));
        host.put("PortBindings", self.network.bindings()?);
        host.put("Links", json!(self.network.links()));
        host.put("PublishAllPorts", json!(self.network.publish_all));
        host.put("AutoRemove", json!(self.remove));
        let (cap_add, cap_drop) = capabilities::effective(&self.cap_add, &self.cap_drop);
        host.put("CapAdd", json!(cap_add));
        host.put("CapDrop", json!(cap_drop));
        host.put("Isolation", json!(self.isolation));
        host.put("Kernel", json!(kernel));
        host.put("Privileged", json!(self.privileged));
        host.put("ReadonlyRootfs", json!(self.read_only));
        host.put("ShmSize", json!(self.shm_size.0));
        host.put("Sysctls", json!(self.sysctls.0));
        host.put("Tmpfs", json!(tmpfs));
        host.put("Ulimits", self.ulimits.json());
        host.put("Binds", json!(volumes.binds));
        host.put("Mounts", self.mounts.json());
        host.put("VolumesFrom", json!(self.volumes_from));
        host.put("VolumeDriver", json!(self.volume_driver));
        let storage: BTreeMap<&str, &str> = self
            .storage_opt
            .iter()
            .map(|text| text.split_once('=').ok_or(text))
            .collect::<Result<_, _>>()
            .map_err(|_| Failure::new("invalid storage option"))?;
        host.put("StorageOpt", json!(storage));
        if let Some(init) = self.init {
            host.0.insert("Init".into(), json!(init));
        }
        Ok(Json::Object(host.0))
    }
}
