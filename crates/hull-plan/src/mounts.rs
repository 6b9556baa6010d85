//! Mounts of a container.

use std::collections::BTreeMap;

use hull_spec::Mount;

use crate::{ContainerConfig, Error, path};

/// Checks the destinations of temporary file systems and volumes as Docker does.
pub(crate) fn validate(config: &ContainerConfig) -> Result<(), Error> {
    let volumes = config.volumes.iter();
    for destination in config.host.tmpfs.keys().chain(volumes) {
        if !destination.starts_with('/') {
            return Err(Error::invalid(format!(
                "invalid mount path: '{destination}' mount path must be absolute"
            )));
        }
        if path::clean(destination) == "/" {
            return Err(Error::invalid("invalid specification: destination can't be '/'"));
        }
    }
    for options in config.host.tmpfs.values() {
        tmpfs_options(options)?;
    }
    Ok(())
}

/// Returns the mounts: Docker's own, then temporary file systems, parents before children.
pub(crate) fn mounts(config: &ContainerConfig) -> Result<Vec<Mount>, Error> {
    let tmpfs: BTreeMap<_, _> = config
        .host
        .tmpfs
        .iter()
        .map(|(destination, options)| (path::clean(destination), options))
        .collect();
    let mut mounts = own(config);
    mounts.retain(|mount| {
        let under_dev = tmpfs.contains_key("/dev") && mount.destination.starts_with("/dev/");
        !tmpfs.contains_key(&mount.destination) && !under_dev
    });
    let mut tmpfs: Vec<_> = tmpfs.into_iter().collect();
    tmpfs.sort_by_key(|(destination, _)| destination.matches('/').count());
    for (destination, options) in tmpfs {
        mounts.push(Mount {
            destination,
            kind: "tmpfs".into(),
            source: "tmpfs".into(),
            options: tmpfs_options(options)?,
        });
    }
    Ok(mounts)
}

/// Returns the paths of anonymous volumes that nothing else is mounted on.
pub(crate) fn volumes(config: &ContainerConfig) -> Vec<String> {
    let taken: Vec<_> = config.host.tmpfs.keys().map(|d| path::clean(d)).collect();
    let mut volumes: Vec<_> = config.volumes.iter().map(|v| path::clean(v)).collect();
    volumes.retain(|volume| !taken.contains(volume));
    volumes.sort();
    volumes.dedup();
    volumes
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

/// Merges the user's options over Docker's defaults: of options that contradict each other the
/// last one stays, in its place.
pub(crate) fn tmpfs_options(text: &str) -> Result<Vec<String>, Error> {
    let mut options = vec!["noexec", "nosuid", "nodev", "rprivate"];
    if !text.is_empty() {
        options.extend(text.split(','));
    }
    let mut seen = Vec::new();
    let mut merged = Vec::new();
    for option in options.into_iter().rev().filter(|option| *option != "defaults") {
        let Some(subject) = subject(option) else {
            let name = option.split('=').next().unwrap_or(option);
            return Err(Error::invalid(format!("invalid tmpfs option [\"{name}\"]")));
        };
        if !seen.contains(&subject) {
            seen.push(subject);
            merged.push(option.to_owned());
        }
    }
    merged.reverse();
    Ok(merged)
}

/// What an option is about: two options about the same contradict each other.
fn subject(option: &str) -> Option<&str> {
    if let Some((name, _)) = option.split_once('=') {
        const VALUES: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];
        return VALUES.contains(&name).then_some(name);
    }
    Some(match option {
        "ro" | "rw" => "ro",
        "suid" | "nosuid" => "nosuid",
        "dev" | "nodev" => "nodev",
        "exec" | "noexec" => "noexec",
        "sync" | "async" => "sync",
        "dirsync" => "dirsync",
        "remount" => "remount",
        "mand" | "nomand" => "mand",
        "atime" | "noatime" => "noatime",
        "diratime" | "nodiratime" => "nodiratime",
        "relatime" | "norelatime" => "relatime",
        "strictatime" | "nostrictatime" => "strictatime",
        "bind" | "rbind" | "unbindable" | "runbindable" | "private" | "rprivate" | "shared"
        | "rshared" | "slave" | "rslave" => "propagation",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_temporary_file_systems() {
        for (text, options) in [
            ("", "noexec,nosuid,nodev,rprivate"),
            ("defaults", "noexec,nosuid,nodev,rprivate"),
            ("rw,size=1m,exec", "nosuid,nodev,rprivate,rw,size=1m,exec"),
            ("size=1m,noexec,exec", "nosuid,nodev,rprivate,size=1m,exec"),
            ("mode=1777,uid=5,rshared", "noexec,nosuid,nodev,mode=1777,uid=5,rshared"),
            ("size=1m,mode=1777,size=2m", "noexec,nosuid,nodev,rprivate,mode=1777,size=2m"),
        ] {
            assert_eq!(tmpfs_options(text).unwrap().join(","), options, "{text}");
        }
        for (text, name) in [("foo", "foo"), ("rw,foo=1", "foo"), ("rw,", "")] {
            let message = tmpfs_options(text).unwrap_err().to_string();
            assert_eq!(message, format!("invalid tmpfs option [\"{name}\"]"));
        }
    }
}
