//! Mounts of a container.

use std::collections::BTreeMap;

use hull_spec::Mount;

use crate::storage::{self, tmpfs_options};
use crate::{ContainerConfig, Error, MountKind, MountPoint, SHARE_TYPE, path, sockets};

/// Checks the destinations of temporary file systems and volumes as Docker does.
pub(crate) fn validate(config: &ContainerConfig) -> Result<(), Error> {
    for container in &config.host.volumes_from {
        storage::parse_volumes_from(container)?;
    }
    storage::requested_mounts(config)?;
    for destination in config.host.tmpfs.keys() {
        if !destination.starts_with('/') {
            return Err(Error::invalid(format!(
                "invalid mount path: '{destination}' mount path must be absolute"
            )));
        }
    }
    // An anonymous volume may have any path: it is taken as one below the root.
    for destination in config.host.tmpfs.keys().chain(&config.volumes) {
        if path::clean(destination) == "/" {
            return Err(Error::invalid("invalid specification: destination can't be '/'"));
        }
    }
    for options in config.host.tmpfs.values() {
        tmpfs_options(options)?;
    }
    Ok(())
}

/// What is mounted in a container.
pub(crate) struct Mounts {
    /// Docker's own, then those asked for, parents before children.
    pub(crate) all: Vec<Mount>,
    /// What of the host is shared for them.
    pub(crate) shared: Vec<MountPoint>,
    /// Which of it is the ssh agent's socket.
    pub(crate) agent: Option<usize>,
}

/// Returns what is mounted in a container.
pub(crate) fn mounts(config: &ContainerConfig) -> Result<Mounts, Error> {
    let mut asked: BTreeMap<String, Mount> = BTreeMap::new();
    let mut shared = Vec::new();
    for point in &config.mount_points {
        let destination = point.destination.clone();
        let mount = match point.kind {
            MountKind::Tmpfs => tmpfs(&destination, &point.tmpfs)?,
            MountKind::Bind | MountKind::Volume => {
                shared.push(point.clone());
                share(point, shared.len() - 1)
            }
        };
        asked.insert(destination, mount);
    }
    let agent = sockets::agent(&config.host, &config.mount_points).map(|point| {
        shared.push(point.clone());
        asked.insert(point.destination.clone(), share(&point, shared.len() - 1));
        shared.len() - 1
    });
    for (destination, options) in &config.host.tmpfs {
        let destination = path::clean(destination);
        asked.insert(destination.clone(), tmpfs(&destination, options)?);
    }
    let mut mounts = own(config);
    mounts.retain(|mount| {
        let under_dev = asked.contains_key("/dev") && mount.destination.starts_with("/dev/");
        !asked.contains_key(&mount.destination) && !under_dev
    });
    let mut asked: Vec<_> = asked.into_values().collect();
    asked.sort_by_key(|mount| mount.destination.matches('/').count());
    mounts.extend(asked);
    Ok(Mounts { all: mounts, shared, agent })
}

fn tmpfs(destination: &str, options: &str) -> Result<Mount, Error> {
    Ok(Mount {
        destination: destination.into(),
        kind: "tmpfs".into(),
        source: "tmpfs".into(),
        options: tmpfs_options(options)?,
    })
}

fn share(point: &MountPoint, number: usize) -> Mount {
    let propagation = match point.propagation.as_str() {
        "" => "rprivate",
        propagation => propagation,
    };
    let access = point.read_only.then_some("ro");
    Mount {
        destination: point.destination.clone(),
        kind: SHARE_TYPE.into(),
        source: number.to_string(),
        options: access.into_iter().chain([propagation]).map(String::from).collect(),
    }
}

fn own(config: &ContainerConfig) -> Vec<Mount> {
    let host = &config.host;
    let read_only = if host.privileged { "" } else { "ro" };
    let shm_size = format!("size={}", host.shm_size);
    let own: [(&str, &str, &str, &[&str]); 7] = [
        ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        (
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", read_only]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", &[read_only, "nosuid", "noexec", "nodev"]),
        ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm_size]),
    ];
    own.into_iter()
        .filter(|(destination, ..)| *destination != "/dev/shm" || host.ipc_mode != "none")
        .map(|(destination, kind, source, options)| Mount {
            destination: destination.into(),
            kind: kind.into(),
            source: source.into(),
            options: options
                .iter()
                .filter(|option| !option.is_empty())
                .map(|option| (*option).into())
                .collect(),
        })
        .collect()
}
