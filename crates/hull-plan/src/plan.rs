//! From configuration to plan.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hull_seccomp::Arch;
use hull_spec::{Linux, Namespace, Process, Root, Spec, User};

use crate::limits::{self, VmSize};
use crate::mounts::Mounts;
use crate::security::Security;
use crate::{
    ContainerConfig, Error, HostConfig, MountPoint, capabilities, devices, environment, files,
    mounts, parse_signal, sysctl,
};

/// Facts of the host that a plan depends on.
#[derive(Clone, Debug)]
pub struct Host {
    pub arch: Arch,
    /// CPUs of the host; asking for more than these is an error, as in Docker.
    pub cpus: u32,
    /// Bytes of memory of the host; a larger limit does not make a machine larger.
    pub memory: u64,
    /// The host's `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// An address of the host that containers reach it by; `None` if it has none.
    pub address: Option<IpAddr>,
}

/// Everything that starting a container needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    pub spec: Spec,
    /// For `hull_protocol::Create::user`; `None`: root.
    pub user: Option<String>,
    /// For `hull_protocol::Create::groups`.
    pub groups: Vec<String>,
    /// For `hull_protocol::Create::files`: `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`.
    pub files: BTreeMap<String, String>,
    /// What the host shares with the container, by the numbers in the specification.
    pub shares: Vec<MountPoint>,
    /// Which of `shares` is the socket of the host's ssh agent, which need not be there.
    pub agent: Option<usize>,
    pub init: bool,
    pub vm: VmSize,
    /// Signal number that asks the container to end.
    pub stop_signal: i32,
    /// Program as `docker inspect` shows it.
    pub path: String,
    /// Arguments after the program.
    pub args: Vec<String>,
}

/// Plans the container `id` (64 hexadecimal digits) from a configuration that has passed
/// [`crate::validate()`] and [`crate::merge_image`].
///
/// The specification is the one that Docker hands to runc, but for this:
///
/// - no network namespace: the guest's network is the container's;
/// - a control group namespace always unless asked otherwise (control groups of version 2);
/// - memory is limited always, to [`crate::DEFAULT_MEMORY`] if nothing is asked for;
/// - limits on open files, processes and core files that Docker's containers inherit are explicit;
/// - hosts, hostname, resolv.conf and the init process are no mounts but fields of the plan, since
///   the guest makes them;
/// - bind mounts and volumes have a type of their own and a number as their source;
/// - the user is looked up in the guest: the specification names none.
pub fn plan(id: &str, config: &ContainerConfig, host: &Host) -> Result<Plan, Error> {
    let entrypoint = config.entrypoint.iter().flatten();
    let mut words = entrypoint.chain(config.cmd.iter().flatten()).cloned();
    let path = words.next().ok_or(Error::NoCommand)?;
    let args: Vec<String> = words.collect();

    let hostname = files::hostname(config, id);
    let security = Security::parse(&config.host.security_opt)?;
    let granted = capabilities::granted(&config.host)?;
    let profile = security.seccomp(&config.host, host.arch, &granted)?;

    let process = Process {
        terminal: config.tty,
        console_size: None,
        user: User::default(),
        args: std::iter::once(path.clone()).chain(args.clone()).collect(),
        env: environment::environment(config, hostname),
        cwd: match config.working_dir.as_str() {
            "" => "/".into(),
            directory => directory.into(),
        },
        capabilities: Some(capabilities::sets(&granted)),
        rlimits: limits::rlimits(&config.host),
        no_new_privileges: security.no_new_privileges,
        oom_score_adj: Some(config.host.oom_score_adj),
    };
    let Mounts { all: mut mounts, shared: shares, agent } = mounts::mounts(config)?;
    let mut files = files::files(&config.host, hostname, host)?;
    files.retain(|path, _| mounts.iter().all(|mount| mount.destination != *path));
    if let Some(writable) = security.writable_cgroups {
        for mount in mounts.iter_mut().filter(|mount| mount.kind == "cgroup") {
            mount.options.retain(|option| option != "ro");
            if !writable {
                mount.options.insert(0, "ro".into());
            }
        }
    }
    let spec = Spec {
        oci_version: "1.2.0".into(),
        process: Some(process),
        root: Some(Root { path: "rootfs".into(), readonly: config.host.readonly_rootfs }),
        hostname: hostname.into(),
        domainname: config.domainname.clone(),
        mounts,
        annotations: config.host.annotations.clone(),
        linux: Some(Linux {
            namespaces: namespaces(config),
            devices: devices::nodes(&config.host),
            cgroups_path: format!("/hull/{id}"),
            resources: Some(limits::resources(config)),
            rootfs_propagation: String::new(),
            seccomp: profile,
            sysctl: sysctl::sysctls(config),
            masked_paths: masked_paths(&config.host).unwrap_or_default(),
            readonly_paths: readonly_paths(&config.host).unwrap_or_default(),
        }),
    };
    Ok(Plan {
        spec,
        user: Some(effective_user(&config.user).to_owned()),
        groups: config.host.group_add.clone(),
        files,
        shares,
        agent,
        init: config.host.init.unwrap_or(false),
        vm: VmSize::new(&config.host, host),
        stop_signal: match config.stop_signal.as_deref() {
            None | Some("") => SIGTERM,
            Some(signal) => parse_signal(signal)?,
        },
        path,
        args,
    })
}

/// Returns whom to look up in the image. Docker looks root up, too, when no user is named: root
/// may have supplementary groups there, and its home is not always `/root`.
pub fn effective_user(name: &str) -> &str {
    match name {
        "" => "0",
        name => name,
    }
}

const SIGTERM: i32 = 15;

/// Docker's list without `/proc/interrupts`, which it hides because it tells one container what
/// others on the same kernel do: here there are no others.
const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A privileged container has neither list unless it asks for one.
/// Returns the paths that a container cannot read; `None`: privileged, and not asked for.
pub fn masked_paths(host: &HostConfig) -> Option<Vec<String>> {
    paths(host, host.masked_paths.as_ref(), &MASKED)
}

/// Returns the paths that a container cannot write; `None`: privileged, and not asked for.
pub fn readonly_paths(host: &HostConfig) -> Option<Vec<String>> {
    paths(host, host.readonly_paths.as_ref(), &READ_ONLY)
}

fn paths(host: &HostConfig, own: Option<&Vec<String>>, default: &[&str]) -> Option<Vec<String>> {
    match own {
        Some(own) => Some(own.clone()),
        None if host.privileged => None,
        None => Some(default.iter().map(|path| (*path).to_owned()).collect()),
    }
}

fn namespaces(config: &ContainerConfig) -> Vec<Namespace> {
    let shares_cgroups = config.host.cgroupns_mode == "host";
    ["mount", "uts", "pid", "ipc", "cgroup"]
        .into_iter()
        .filter(|kind| *kind != "cgroup" || !shares_cgroups)
        .map(|kind| Namespace { kind: kind.into(), path: String::new() })
        .collect()
}
