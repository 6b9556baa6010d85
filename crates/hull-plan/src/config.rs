//! What a container is asked to be: the values that the engine persists.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::{
    Healthcheck, Link, Linked, LogConfig, MountConfig, MountPoint, PublishedSocket, RestartPolicy,
};

/// A container as its creator asked for it, Docker's `Config` object.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// Name of the image as the user gave it.
    pub image: String,
    /// `None`: the image's command. `Some` of an empty list means none too, as in Docker.
    pub cmd: Option<Vec<String>>,
    /// `None`: the image's. `Some([])` or `Some([""])` clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// `KEY=value`, or `KEY` alone to remove a variable of the image.
    pub env: Vec<String>,
    /// `name|uid[:group|gid]`; empty: the image's.
    pub user: String,
    /// Absolute; empty: the image's, else `/`.
    pub working_dir: String,
    /// Empty: the first 12 digits of the container's identifier.
    pub hostname: String,
    pub domainname: String,
    pub labels: BTreeMap<String, String>,
    pub tty: bool,
    pub open_stdin: bool,
    pub stdin_once: bool,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    /// Name or number; `None`: the image's, else `SIGTERM`.
    pub stop_signal: Option<String>,
    /// Seconds between the stop signal and `SIGKILL`; `None`: 10; negative: wait for ever.
    pub stop_timeout: Option<i64>,
    /// Paths of anonymous volumes.
    pub volumes: BTreeSet<String>,
    /// Bind mounts and volumes as they were found or made when the container was created; the
    /// engine's, not the user's.
    pub mount_points: Vec<MountPoint>,
    /// `port/protocol`.
    pub exposed_ports: BTreeSet<String>,
    /// `os/arch[/variant]` that the image was asked for in; `None`: the host's.
    pub platform: Option<String>,
    /// `None`: the image's.
    pub healthcheck: Option<Healthcheck>,
    /// Hardware address of the interface in the network of [`HostConfig::network_mode`], where that
    /// network's [`EndpointConfig`] says none.
    pub mac_address: String,
    /// Networks by name or identifier, and what is asked for in each.
    pub networks: BTreeMap<String, EndpointConfig>,
    pub host: HostConfig,
    /// What is known of the containers of [`HostConfig::links`]; the engine's, at a start.
    #[serde(skip)]
    pub linked: Vec<Linked>,
}

/// What a container asks for in a network, Docker's `EndpointSettings`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct EndpointConfig {
    /// Further names that others find the container by.
    pub aliases: Vec<String>,
    /// `name:alias` each: names that only this container knows others by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    pub ipv4_address: Option<Ipv4Addr>,
    pub ipv6_address: Option<Ipv6Addr>,
    /// Further addresses, which are link-local.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
    /// Empty: one is made up.
    pub mac_address: String,
    /// The default route goes through the network where this is highest.
    pub gateway_priority: i64,
    pub driver_options: BTreeMap<String, String>,
}

impl EndpointConfig {
    /// Returns the same for another container, which must not have the addresses of this one.
    pub fn without_addresses(&self) -> Self {
        Self {
            ipv4_address: None,
            ipv6_address: None,
            link_local: Vec::new(),
            mac_address: String::new(),
            ..self.clone()
        }
    }
}

/// Where a port of a container is published.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(default)]
pub struct PortBinding {
    /// Address of the host; empty: all.
    pub host_ip: String,
    /// Number, or range (`8000-8010`) of which one is taken; empty: any that is free.
    pub host_port: String,
}

/// What the host gives a container, Docker's `HostConfig` object.
///
/// Zero and empty mean "not given" wherever they do in Docker's API.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HostConfig {
    /// Bytes.
    pub memory: i64,
    /// Bytes of memory and swap together; -1: unlimited swap.
    pub memory_swap: i64,
    /// Bytes, soft limit.
    pub memory_reservation: i64,
    pub memory_swappiness: Option<i64>,
    pub oom_kill_disable: Option<bool>,
    pub oom_score_adj: i32,
    /// CPUs in units of 1e-9.
    pub nano_cpus: i64,
    /// Microseconds.
    pub cpu_period: i64,
    /// Microseconds; -1: unlimited.
    pub cpu_quota: i64,
    /// Relative weight, 2 to 262144.
    pub cpu_shares: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    /// `None`, 0 and -1: unlimited.
    pub pids_limit: Option<i64>,
    pub ulimits: Vec<Ulimit>,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub privileged: bool,
    pub readonly_rootfs: bool,
    /// Mount point to options.
    pub tmpfs: BTreeMap<String, String>,
    /// `source:destination[:mode]`.
    pub binds: Vec<String>,
    pub mounts: Vec<MountConfig>,
    /// `container[:mode]`.
    pub volumes_from: Vec<String>,
    /// Driver of volumes that are named in `binds`.
    pub volume_driver: String,
    /// Options of the container's own disk.
    pub storage_opt: BTreeMap<String, String>,
    /// Bytes of `/dev/shm`; 0: 64 MiB.
    pub shm_size: i64,
    pub sysctls: BTreeMap<String, String>,
    pub init: Option<bool>,
    pub security_opt: Vec<String>,
    /// Paths hidden from the container; `None`: Docker's list.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that the container cannot write; `None`: Docker's list.
    pub readonly_paths: Option<Vec<String>>,
    pub network_mode: String,
    /// `port/protocol` to where it is published.
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    /// Sockets of the host that lead to sockets of the container.
    pub publish_sockets: Vec<PublishedSocket>,
    /// Socket of the host's ssh agent, which the container is given as [`crate::AGENT_SOCKET`];
    /// empty: it is not.
    pub ssh_auth_sock: String,
    /// Publish all exposed ports that have no binding.
    pub publish_all_ports: bool,
    pub ipc_mode: String,
    pub pid_mode: String,
    pub uts_mode: String,
    pub userns_mode: String,
    pub cgroupns_mode: String,
    pub auto_remove: bool,
    pub restart_policy: RestartPolicy,
    pub log: LogConfig,
    /// Nodes of the guest beside those that every container has.
    pub devices: Vec<DeviceMapping>,
    /// `type major:minor access`, for example `c 42:* rwm`.
    pub device_cgroup_rules: Vec<String>,
    /// Relative weight of block I/O, 10 to 1000.
    pub blkio_weight: u16,
    /// Limits of block I/O.
    pub blkio_rates: BlkioRates,
    /// `vm` (also empty and `default`) or `process`.
    pub isolation: String,
    /// Path of another guest kernel.
    pub kernel: Option<String>,
    pub group_add: Vec<String>,
    /// `host:address`.
    pub extra_hosts: Vec<String>,
    /// Containers in the default network that this one knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    pub dns_options: Vec<String>,
    /// Key-value annotations of the specification.
    pub annotations: BTreeMap<String, String>,
}

/// A device node for a container, Docker's `DeviceMapping`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeviceMapping {
    /// In the guest: a container has no devices of the host.
    pub path_on_host: String,
    pub path_in_container: String,
    /// Some of `rwm`.
    pub cgroup_permissions: String,
}

/// What a container may read and write in a second.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct BlkioRates {
    /// Bytes.
    pub read_bytes: Vec<ThrottledDevice>,
    /// Bytes.
    pub write_bytes: Vec<ThrottledDevice>,
    pub read_operations: Vec<ThrottledDevice>,
    pub write_operations: Vec<ThrottledDevice>,
}

/// A block device of the host and what may be done with it in a second, Docker's `ThrottleDevice`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ThrottledDevice {
    pub path: String,
    pub rate: u64,
}

impl BlkioRates {
    /// Returns paths of the devices that are named.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let all =
            [&self.read_bytes, &self.write_bytes, &self.read_operations, &self.write_operations];
        all.into_iter().flatten().map(|device| device.path.as_str())
    }
}

/// One resource limit; -1 is unlimited. `name` is without `RLIMIT_`, lower case.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ulimit {
    pub name: String,
    pub soft: i64,
    pub hard: i64,
}

/// The `config` object of an OCI image, the part that a container takes over.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageConfig {
    #[serde(deserialize_with = "null_as_default")]
    pub user: String,
    #[serde(deserialize_with = "null_as_default")]
    pub env: Vec<String>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    #[serde(deserialize_with = "null_as_default")]
    pub working_dir: String,
    #[serde(deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// Keys only; values are empty objects.
    #[serde(deserialize_with = "null_as_default")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "null_as_default")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    pub stop_signal: Option<String>,
    /// Docker's extension of the specification.
    pub healthcheck: Option<Healthcheck>,
}

/// Images in the field hold `null` where the specification asks for an empty list or object.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
