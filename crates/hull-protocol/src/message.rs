//! Requests, responses and events. All are JSON: readable in a trace, and the OCI specification
//! inside them is JSON anyway.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::sockets::{Access, Duplex, SocketFile, SocketState};

/// Number of a byte stream, chosen by the host, unique on a channel for as long as it is in use.
pub type StreamId = u32;

/// First message each way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hello {
    /// [`crate::VERSION`] of the sender.
    pub version: u32,
    /// Who speaks, for example `hull-init 0.1.0`.
    pub software: String,
    /// Guest only: `uname -r` and `uname -m` of its kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Guest only: microseconds from kernel start until now (`CLOCK_BOOTTIME`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_us: Option<u64>,
}

/// What the host asks for. The response type is named in each variant's documentation;
/// where none is named it is [`Reply::Done`].
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Gives the guest its identity. Must be the first request, after a boot and after a fork,
    /// before anything of a container runs.
    Configure(Configure),
    /// Prepares root file system, mounts and namespaces of a container and its init process,
    /// which then waits for [`Request::Start`]. Replies [`Reply::Created`].
    Create(Box<Create>),
    /// Lets the init process of a container execute its program. Replies [`Reply::Started`].
    Start { container: String },
    /// Starts one more process in a running container. Replies [`Reply::Started`].
    Exec(Box<Exec>),
    /// Sends a signal (its number) to a process; `all` sends it to every process of the container.
    Signal {
        #[serde(flatten)]
        target: Target,
        signal: i32,
        #[serde(default)]
        all: bool,
    },
    /// Sets the size of a process's terminal, in character cells.
    Resize {
        #[serde(flatten)]
        target: Target,
        rows: u16,
        columns: u16,
    },
    /// Freezes all processes of a container (cgroup v2 freezer); returns when they are frozen.
    Pause { container: String },
    /// Lets a frozen container go on.
    Resume { container: String },
    /// Replies [`Reply::Statistics`].
    Statistics { container: String },
    /// Replies [`Reply::Processes`].
    Processes { container: String },
    /// Changes limits of a running container. `resources` is an OCI `linux.resources` object.
    Update { container: String, resources: Box<RawValue> },
    /// Describes one path in the container's root, the last component not followed.
    /// Replies [`Reply::Stat`].
    Stat { container: String, path: String },
    /// Sends a part of the container to `stream`. Replies when all has been sent.
    CopyOut { container: String, part: Part, stream: StreamId },
    /// Extracts the tar archive that comes on `stream` into the directory `path`.
    /// Replies when all has been written.
    CopyIn {
        container: String,
        path: String,
        stream: StreamId,
        /// Refuse to replace a directory by a non-directory and the other way round.
        #[serde(default)]
        no_overwrite_dir_non_dir: bool,
        /// User to look up in the container, whose all that is extracted will be; else it belongs
        /// to whom the archive says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
    },
    /// Kills what is left of a container, unmounts its file systems and forgets it.
    Delete { container: String },
    /// Writes all dirty data of the guest's file systems to their disks.
    Sync,
    /// Does ahead what every container like the one described needs, before the machine becomes a
    /// template. Allowed before [`Request::Configure`], which every fork still gets. Replies when
    /// the guest has nothing left to do.
    Prepare(Box<Prepare>),
    /// Mounts an image ahead and runs a program of it for practice. Replies when that has ended,
    /// however it did; an error means that the image is not mounted.
    Try(Box<crate::Trial>),
    /// Configures the network interface with a hardware address. Replies when it has been done;
    /// the device may be plugged in after the request.
    Interface(Box<Interface>),
    /// Has the interface with this hardware address forget what it was configured with, and rest,
    /// until [`Interface::from`] names it.
    Stow { mac: String },
    /// Changes what a running container knows of its networks.
    Settle(Box<Settle>),
    /// Connects to the unix socket `path` that a process of the container listens on. Replies when
    /// that is done; `streams` carry the connection from then on.
    Dial { container: String, path: String, streams: Duplex },
    /// Lets `streams` carry a connection of [`Event::Connected`].
    Join { connection: u32, streams: Duplex },
    /// Closes a connection of [`Event::Connected`].
    Refuse { connection: u32 },
    /// Has the agent listen on a socket of the host in a shared directory.
    StandIn(SocketFile),
    /// Ends [`Request::StandIn`].
    StandDown(SocketFile),
    /// Says whether a process of the container listens on a socket file that the guest has made in a
    /// shared directory. Replies [`Reply::Socket`].
    Probe(SocketFile),
    /// As [`Request::Dial`], for a socket file in a shared directory.
    Call { file: SocketFile, streams: Duplex },
    /// Sets the wall clock: nanoseconds since 1970-01-01 UTC. Sent when the host's has jumped.
    Clock { clock_ns: u64 },
    /// Has the agent say nothing after the reply until [`Request::Speak`] or [`Request::Adopt`]: the
    /// machine is about to be cloned, and a clone must not begin in the middle of a frame.
    Quiet,
    /// Ends [`Request::Quiet`] where it was asked for.
    Speak,
    /// Ends [`Request::Quiet`] in a clone: a running, frozen container becomes another one and goes on.
    /// Takes the place of [`Request::Configure`]. Replies [`Reply::Started`].
    Adopt(Box<Adopt>),
    /// Kills all containers, unmounts, syncs, and ends the virtual machine. The reply comes before
    /// the machine ends.
    Shutdown,
}

/// What of a container's files is read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A path as the container sees it, as a tar archive (POSIX.1-2001 with PAX headers); the
    /// archive's root entry is named after the path's last component, as Docker names it.
    Path(String),
    /// The root file system without what is mounted on it, as a tar archive.
    Root,
    /// The writable layer as a tar archive with whiteouts (OCI image specification, `layer.md`).
    Layer,
    /// What differs between root file system and image: for each path a letter (`A` for added,
    /// `C` for changed, `D` for deleted), the path and a null byte, directories before what is in
    /// them.
    Changes,
    /// The bytes of the files in the writable layer, in decimal digits.
    Size,
}

/// A process in the guest: the init process of `container`, or the exec named `exec`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Target {
    pub container: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<String>,
}

/// What changes when a running container gets or loses a network.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Settle {
    pub container: String,
    pub routes: Vec<DefaultRoutes>,
    pub edits: Vec<Edit>,
}

/// Where an interface leads to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DefaultRoutes {
    /// Hardware address of the interface; one that is not there is left out.
    pub mac: String,
    /// Routers for all that is in none of the container's networks, in place of those before.
    pub gateways: Vec<String>,
}

/// Lines of a file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Edit {
    pub path: String,
    /// Those that go. If there are some and none of them is in the file, it is left alone.
    pub old: Vec<String>,
    /// Those that come in their place, or at the end.
    pub new: Vec<String>,
}

/// Identity of a guest. Nothing here may be shared by two guests.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Configure {
    /// Fresh random bytes of the host, hexadecimal (32 bytes or more), credited to the kernel's
    /// random number generator before it is reseeded.
    pub entropy: String,
    /// Wall clock: nanoseconds since 1970-01-01 UTC.
    pub clock_ns: u64,
    /// Host name of the guest itself (containers have their own UTS namespace).
    pub hostname: String,
    /// Kernel parameters of the whole guest (`net.*` and others that have no namespace here).
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// Containers are in a network namespace without the interfaces that rest
    /// ([`Request::Stow`]).
    #[serde(default)]
    pub isolated: bool,
}

/// What a running container becomes in a clone of its machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Adopt {
    /// Its name until now.
    pub container: String,
    /// Its name from now on.
    pub name: String,
    pub identity: Configure,
    /// Host name of the container itself.
    pub hostname: String,
    /// As in [`Create::files`]; those that were there then get new content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Streams of its init process until now.
    pub from: Stdio,
    /// Streams of its init process from now on; windows are full. All other streams end.
    pub stdio: Stdio,
}

/// What a template makes ready.
#[derive(Debug, Deserialize, Serialize)]
pub struct Prepare {
    /// OCI runtime specification of a container with nothing special: what its namespaces, mounts,
    /// device rules, masked and read-only paths are is made ahead, and used by every
    /// [`Request::Create`] that asks for the same.
    pub spec: Box<RawValue>,
    /// Serial number of the empty writable disk, which is mounted and stays so. Forks get a copy of
    /// it as it is at the end of this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<String>,
    /// How many containers to make ready.
    pub containers: u32,
}

/// How to make a container.
#[derive(Debug, Deserialize, Serialize)]
pub struct Create {
    pub container: String,
    /// OCI runtime specification, JSON. `root.path` is ignored: `rootfs` says what the root is.
    pub spec: Box<RawValue>,
    pub rootfs: Rootfs,
    /// The specification's seccomp profile compiled by the host: `struct sock_filter[]` in the
    /// guest's byte order, base64. The agent itself compiles none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<String>,
    /// User to look up in the image's `/etc/passwd` and `/etc/group` as Docker's `--user` does:
    /// `name|uid[:group|gid]`. Replaces `process.user` of the specification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Supplementary groups to look up in the image, names or numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Files that Hull manages, bind-mounted over the image's (`/etc/hosts`, `/etc/hostname`,
    /// `/etc/resolv.conf`): absolute path to content. They do not appear in the writable layer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// What the host shares with the container through the port [`crate::SHARE_PORT_NAME`], by
    /// number. A mount of the specification with the type [`SHARE_TYPE`] has the number as its
    /// source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Shared>,
    /// Run the agent's own small init as process 1, which forwards signals and reaps (`--init`).
    #[serde(default)]
    pub init: bool,
    pub stdio: Stdio,
}

/// A network interface of the guest.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Interface {
    /// Hardware address. Where there is no `from`, the device is found by it.
    pub mac: String,
    /// Hardware address that the device has until now: it has been stowed ([`Request::Stow`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is called, for example `eth0`.
    pub name: String,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Addresses of IPv4 and IPv6, each with the length of its network's prefix: `10.0.0.2/24`.
    pub addresses: Vec<String>,
    /// Addresses of the routers for all that is not in one of the networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
}

/// Type of a mount of something that the host shares.
pub const SHARE_TYPE: &str = "hull-share";

/// Something that the host shares with a container.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Shared {
    /// It is a directory, not a file.
    pub directory: bool,
    /// It is a unix socket: connections to it are told by [`Event::Connected`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<Access>,
    /// It is empty, and is to be filled with what it covers in the image, whose owner and mode it
    /// gets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fill: bool,
}

/// What a container's root file system is made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rootfs {
    /// Read-only disk with the image, by virtio-blk serial number.
    pub image: String,
    /// File system on the image disk, for example `erofs`.
    pub image_type: String,
    /// Writable ext4 disk for the container's layer, by virtio-blk serial number; the layer is
    /// kept in it across starts. `None`: the layer is a tmpfs and lost at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<String>,
}

/// Standard streams of a process. With `terminal`, `stdout` carries the terminal's output, `stdin`
/// its input, and `stderr` is not used. A stream that is absent is `/dev/null`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stdio {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<StreamId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<StreamId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<StreamId>,
    #[serde(default)]
    pub terminal: bool,
}

/// How to start one more process in a container.
#[derive(Debug, Deserialize, Serialize)]
pub struct Exec {
    pub container: String,
    /// Name of the process, unique in the container.
    pub exec: String,
    /// OCI `process` object, JSON.
    pub process: Box<RawValue>,
    /// As in [`Create::user`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// As in [`Create::seccomp`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<String>,
    pub stdio: Stdio,
}

/// Answer to a request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    Ok(Reply),
    Error(RpcError),
}

/// What a successful request returns.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    Done,
    /// `pid` of the waiting init process, in the guest's root namespace.
    Created {
        pid: i32,
    },
    Started {
        pid: i32,
    },
    Statistics(Box<Statistics>),
    Processes {
        processes: Vec<Process>,
    },
    Stat(Stat),
    Socket {
        state: SocketState,
    },
}

/// Why a request failed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    pub code: ErrorCode,
    /// For the user, in runc's words where Docker users know them (`exec: "x": executable file not
    /// found in $PATH`).
    pub message: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is malformed or does not fit the container's state.
    Invalid,
    /// No such container, process or path.
    NotFound,
    /// The program exists but may not be executed (exit code 126).
    NotExecutable,
    /// The program does not exist (exit code 127).
    NoProgram,
    /// Something in the guest failed.
    Failed,
    /// The agent cannot do that.
    Unsupported,
}

/// What the guest says unasked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A process ended. Sent after everything that it wrote has been sent, unless something else
    /// still holds its output open: then its streams end later, after this event.
    Exited {
        #[serde(flatten)]
        target: Target,
        status: ExitStatus,
        /// The container's memory cgroup killed a process since it started.
        #[serde(default)]
        oom_killed: bool,
    },
    /// The memory cgroup of a container killed a process.
    OutOfMemory { container: String },
    /// What the kernel has logged since it booted, once the first container runs: the console is
    /// kept quiet, because a slow one would be part of every start. Comes in pieces, each of which
    /// fits into [`crate::frame::MAX_EVENT`].
    KernelLog { text: String },
    /// A process has connected to a socket of the host ([`Shared::socket`], [`Request::StandIn`]), and waits for
    /// [`Request::Join`] or [`Request::Refuse`]. The guest tells of a few, and accepts more when
    /// they are answered.
    Connected {
        /// Number of the socket among [`Create::shares`], or as [`SocketFile::share`].
        share: u32,
        /// It is a file in a shared directory ([`SocketFile::node`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<u64>,
        connection: u32,
    },
    /// Something that the user should see in `hull logs --boot`.
    Warning { message: String },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
}

impl ExitStatus {
    /// Returns the exit code as a shell and Docker show it: 128 + n for signal n.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// Resource use of a container, from its cgroup.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Statistics {
    pub cpu_usage_us: u64,
    pub cpu_user_us: u64,
    pub cpu_system_us: u64,
    pub cpu_periods: u64,
    pub cpu_throttled_periods: u64,
    pub cpu_throttled_us: u64,
    /// Bytes, including page cache.
    pub memory_usage: u64,
    /// Bytes; `None`: unlimited.
    pub memory_limit: Option<u64>,
    /// Highest `memory_usage` seen, bytes.
    pub memory_peak: u64,
    /// `memory.stat` as it is.
    pub memory_stat: BTreeMap<String, u64>,
    pub oom_kills: u64,
    pub pids: u64,
    pub pids_limit: Option<u64>,
    pub block_read_bytes: u64,
    pub block_write_bytes: u64,
    pub block_reads: u64,
    pub block_writes: u64,
    pub networks: BTreeMap<String, NetworkStatistics>,
    /// vCPUs that are online in the guest.
    pub online_cpus: u32,
    /// Nanoseconds of CPU time that the whole guest has had (all vCPUs).
    pub system_cpu_ns: u64,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct NetworkStatistics {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

/// One process of a container, pids as seen in the container.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub uid: u32,
    /// Seconds since 1970 when it started.
    pub started: u64,
    /// CPU time used, milliseconds.
    pub cpu_ms: u64,
    /// Controlling terminal as `ps` shows it (`pts/0`), `?` if none.
    pub tty: String,
    pub command: String,
    /// State as `ps` shows it: `Ss`, `R+`.
    #[serde(default)]
    pub state: String,
    /// Virtual memory, KiB.
    #[serde(default)]
    pub virtual_kib: u64,
    /// Resident memory, KiB.
    #[serde(default)]
    pub resident_kib: u64,
}

/// One path in a container, as Docker's archive API describes it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stat {
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// `st_mode`.
    pub mode: u32,
    pub mtime_ns: i64,
    /// Where a symbolic link leads: an absolute path in the container with all links in it followed
    /// as far as there are any; empty for all else.
    pub link_target: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_passes_through_unchanged() {
        let spec = r#"{ "process": {"args": ["true"]},  "x": [1, 2] }"#;
        let request = Request::Create(Box::new(Create {
            container: "c".into(),
            spec: RawValue::from_string(spec.into()).unwrap(),
            rootfs: Rootfs { image: "image".into(), image_type: "erofs".into(), scratch: None },
            seccomp: None,
            user: None,
            groups: vec![],
            files: BTreeMap::new(),
            shares: vec![],
            init: false,
            stdio: Stdio::default(),
        }));
        let wire = serde_json::to_vec(&request).unwrap();
        let Request::Create(create) = serde_json::from_slice(&wire).unwrap() else {
            panic!("not a create request");
        };
        assert_eq!(create.spec.get(), spec);
    }

    #[test]
    fn flattened_targets_are_plain_fields() {
        let target = Target { container: "c".into(), exec: None };
        let wire =
            serde_json::to_string(&Request::Signal { target, signal: 9, all: true }).unwrap();
        assert_eq!(wire, r#"{"signal":{"container":"c","signal":9,"all":true}}"#);
        assert!(matches!(
            serde_json::from_str(&wire).unwrap(),
            Request::Signal { signal: 9, all: true, .. }
        ));
    }
}
