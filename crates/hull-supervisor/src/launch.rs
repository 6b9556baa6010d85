//! What a supervisor is told to run: `launch.json`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use hull_network::protocol::{Endpoint, Publish};
use hull_protocol::Access;
use hull_share::Emptied;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How the guest's instructions are run.
pub use hull_vmm::Choice as AcceleratorChoice;

/// Everything that a supervisor needs to know, written by the daemon into the container's
/// directory. All paths are absolute unless said otherwise. A supervisor refuses what it does not
/// know: its program may be older than the daemon's.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// The container's id, 64 hexadecimal digits; also its name in the guest protocol.
    pub container: String,
    pub machine: MachineLaunch,
    /// Templates to fork the machine from; `None`: it boots.
    #[serde(default)]
    pub templates: Option<TemplatesLaunch>,
    /// What the container goes on from; `None`: it begins.
    #[serde(default)]
    pub from: Option<StartFrom>,
    pub disks: Disks,
    /// OCI runtime specification. `root.path` is ignored; `linux.seccomp` is compiled by the
    /// supervisor and not sent to the guest.
    pub spec: Box<RawValue>,
    /// As in [`hull_protocol::Create::user`].
    #[serde(default)]
    pub user: Option<String>,
    /// As in [`hull_protocol::Create::groups`].
    #[serde(default)]
    pub groups: Vec<String>,
    /// As in [`hull_protocol::Create::files`].
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// What the guest is given of the host's directories; mounts of `spec` have their numbers.
    #[serde(default)]
    pub shares: Vec<ShareLaunch>,
    /// Sockets of the host that lead to those of the container's processes.
    #[serde(default)]
    pub sockets: Vec<PublishedSocket>,
    /// Run the agent's small init as process 1 (`--init`).
    #[serde(default)]
    pub init: bool,
    /// Kernel parameters of the whole guest, as in [`hull_protocol::Configure::sysctls`].
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// The container's networks; `None`: it has a loopback interface only.
    #[serde(default)]
    pub network: Option<NetworkLaunch>,
    #[serde(default)]
    pub stdio: StdioLaunch,
    #[serde(default)]
    pub log: LogLaunch,
    #[serde(default)]
    pub stop: StopLaunch,
    /// How its health is checked; `None`: it is not.
    #[serde(default)]
    pub health: Option<HealthLaunch>,
    /// Nothing is executed: the machine is there for somebody who reads and writes the files of a
    /// container that does not run. It ends with the connection that the supervisor inherited.
    #[serde(default)]
    pub visit: bool,
    /// The container is removed when it ends (`--rm`): nothing on its disks is worth a sync, and
    /// the machine is ended at once.
    #[serde(default)]
    pub discard: bool,
}

/// Where a container that goes on is. It gets copies of the disks there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StartFrom {
    /// Directory of a machine that stands still, with the container in it that this one is a copy
    /// of ([`crate::control::Operation::Fork`]).
    Clone(PathBuf),
    /// A checkpoint.
    Checkpoint {
        /// Where [`crate::control::Operation::Checkpoint`] wrote it.
        dir: PathBuf,
        /// As in [`NetworkLaunch::program`].
        network: PathBuf,
    },
}

/// How the health of a container is checked. Times are nanoseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct HealthLaunch {
    /// OCI `process` object: it is healthy if that ends with 0.
    pub process: Box<RawValue>,
    /// As in [`hull_protocol::Create::user`].
    pub user: Option<String>,
    /// The container is privileged.
    pub privileged: bool,
    pub interval: u64,
    pub timeout: u64,
    /// From the start, time in which failures do not count.
    pub start_period: u64,
    /// Instead of `interval`, in that time, until it is healthy.
    pub start_interval: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
}

/// A directory or file of the host that a container is given.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ShareLaunch {
    pub source: PathBuf,
    /// It is a directory, not a file.
    pub directory: bool,
    /// It is a unix socket, and who may connect to it in the container. It need not be there.
    #[serde(default)]
    pub socket: Option<Access>,
    #[serde(default)]
    pub read_only: bool,
    /// As in [`hull_protocol::Shared::fill`].
    #[serde(default)]
    pub fill: bool,
    /// As in [`hull_share::Share::limit`].
    #[serde(default)]
    pub limit: Option<u64>,
    /// As in [`hull_share::Share::lease`].
    #[serde(default)]
    pub lease: Option<PathBuf>,
    /// As in [`hull_share::Share::emptied`].
    #[serde(default)]
    pub emptied: Option<Emptied>,
}

/// A socket of the host, mode 0600, that leads to one in the container.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PublishedSocket {
    pub host: PathBuf,
    /// Absolute path in the container.
    pub container: String,
}

/// What a supervisor without a container yet is told: `wait.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WaitLaunch {
    pub machine: MachineLaunch,
    pub templates: TemplatesLaunch,
    pub rehearsal: RehearsalLaunch,
    /// As in [`NetworkLaunch::program`].
    pub network: PathBuf,
    /// Directory of a machine that stands still, of which it is a clone; `None`: it is forked from its
    /// template.
    #[serde(default)]
    pub zygote: Option<PathBuf>,
    /// What such a clone tries of the image that it will be used for.
    #[serde(default)]
    pub trial: Option<TrialLaunch>,
}

/// A program of an image that is run for practice, as far as that has no effect.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TrialLaunch {
    /// As [`Disks::image`].
    pub image: PathBuf,
    /// File system on it.
    pub image_type: String,
    /// First of a container's arguments.
    pub program: String,
    /// Its `PATH`.
    pub path: String,
    /// Its working directory.
    pub directory: String,
}

/// A container that is run in a waiting machine for practice: what the guest has executed once it
/// executes faster the second time, because an emulator has translated it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RehearsalLaunch {
    /// OCI runtime specification of a usual container that runs [`hull_template::image::COMMAND`],
    /// with one share.
    pub spec: Box<RawValue>,
    /// As in [`hull_protocol::Create::user`].
    #[serde(default)]
    pub user: Option<String>,
    /// As in [`Launch::files`].
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// The virtual machine.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MachineLaunch {
    /// Hull's home. The VMM's working directory, so that relative extents of disks resolve.
    pub home: PathBuf,
    /// Guest kernel: PVH `vmlinux` on x86_64, `Image` on arm64.
    pub kernel: PathBuf,
    /// The guest agent, `hull-init`.
    pub agent: PathBuf,
    /// The library that forks of templates need; `None`: machines cannot be forked.
    #[serde(default)]
    pub fork_library: Option<PathBuf>,
    /// `x86_64` or `aarch64`, as Rust names them.
    #[serde(default = "host_arch")]
    pub arch: String,
    /// QEMU to use instead of the one in the search path.
    #[serde(default)]
    pub qemu: Option<PathBuf>,
    #[serde(default)]
    pub accelerator: AcceleratorChoice,
    /// Where the answer of the accelerator probe is kept (`probe.json` in Hull's home).
    pub probe_cache: PathBuf,
    pub vcpus: u32,
    /// Memory limit of the container, bytes. The machine gets more: what kernel and agent need.
    pub memory: u64,
}

/// Templates of machines.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TemplatesLaunch {
    /// Where they are kept.
    pub dir: PathBuf,
    /// Bytes that they may take on the disk together; `None`: no limit.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// OCI runtime specification of a container with nothing special, for which a new template is
    /// made ready.
    pub spec: Box<RawValue>,
}

/// Networks of a container.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct NetworkLaunch {
    /// Program that is started as `<program> network-service <home>` if the service does not run.
    pub program: PathBuf,
    pub interfaces: Vec<InterfaceLaunch>,
    /// Ports to publish on the host.
    #[serde(default)]
    pub ports: Vec<Publish>,
}

/// An interface of a container in one of its networks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InterfaceLaunch {
    /// `eth0` and so on.
    pub name: String,
    pub endpoint: Endpoint,
    /// Routers for all that is in none of the container's networks.
    #[serde(default)]
    pub gateways: Vec<IpAddr>,
}

/// Disks of the machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Disks {
    /// Read-only image disk: a VMDK descriptor (`*.vmdk`) or a raw image.
    pub image: PathBuf,
    /// File system on it; empty means `erofs`.
    #[serde(default)]
    pub image_type: String,
    /// Writable raw disk with an ext4 file system, made if it does not exist; `None`: the writable
    /// layer is a tmpfs.
    #[serde(default)]
    pub scratch: Option<PathBuf>,
}

/// Standard streams of the container's init process.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct StdioLaunch {
    /// Docker's `Tty`: one stream for all, a terminal in the guest.
    pub tty: bool,
    /// Docker's `OpenStdin`: stdin is a pipe (or the terminal) instead of `/dev/null`.
    pub open_stdin: bool,
    /// Docker's `StdinOnce`: stdin closes when the first attached client has left.
    pub stdin_once: bool,
}

/// A log in a file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct LogFileLaunch {
    pub path: PathBuf,
    /// Bytes after which a new file is begun; `None`: never.
    #[serde(default)]
    pub max_size: Option<u64>,
    /// How many files are kept, the current one among them; 0 and 1 mean one.
    #[serde(default)]
    pub max_file: u32,
    /// Whether the older ones are compressed, `<file>.gz`.
    #[serde(default)]
    pub compress: bool,
}

/// Where the container's output is kept.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(tag = "driver", rename_all = "kebab-case")]
pub enum LogLaunch {
    /// Docker's `json-file`.
    JsonFile {
        #[serde(flatten)]
        file: LogFileLaunch,
        /// What every record says beside its line.
        #[serde(default)]
        attributes: BTreeMap<String, String>,
    },
    /// Docker's `journald`.
    Journald {
        /// The journal's socket.
        socket: PathBuf,
        /// What every record says beside its line.
        fields: BTreeMap<String, String>,
    },
    /// Docker's `none`.
    #[default]
    None,
}

/// What `stop` does unless it is told otherwise, and what SIGTERM to the supervisor does.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct StopLaunch {
    /// Signal number in the guest.
    pub signal: i32,
    /// Seconds to wait before SIGKILL; negative means for ever.
    pub timeout: i64,
}

impl Default for StopLaunch {
    fn default() -> Self {
        Self { signal: 15, timeout: 10 }
    }
}

fn host_arch() -> String {
    std::env::consts::ARCH.to_owned()
}
