//! Device nodes and who may use them.

use hull_spec::{Device, DeviceRule};

use crate::{DeviceMapping, Error, HostConfig};

/// Access rules of the control group: runc's own defaults come before these in the guest.
pub(crate) fn rules(host: &HostConfig) -> Vec<DeviceRule> {
    let all = |allow| DeviceRule { allow, access: "rwm".into(), ..DeviceRule::default() };
    if host.privileged {
        return vec![all(true)];
    }
    let character = |allow, major, minor| DeviceRule {
        kind: "c".into(),
        major: Some(major),
        minor: Some(minor),
        ..all(allow)
    };
    let mut rules = vec![
        all(false),
        character(true, 1, 5),
        character(true, 1, 3),
        character(true, 1, 9),
        character(true, 1, 8),
        character(true, 5, 0),
        character(true, 5, 1),
        character(false, 10, 229),
    ];
    for mapping in &host.devices {
        if let Ok(node) = find(mapping) {
            rules.push(DeviceRule {
                allow: true,
                kind: node.kind,
                major: Some(node.major),
                minor: Some(node.minor),
                access: mapping.cgroup_permissions.clone(),
            });
        }
    }
    rules.extend(host.device_cgroup_rules.iter().filter_map(|text| rule(text)));
    rules
}

/// Checks what is asked for in the words of Docker's daemon.
pub(crate) fn validate(host: &HostConfig) -> Result<(), Error> {
    for mapping in &host.devices {
        let access = &mapping.cgroup_permissions;
        if access.is_empty() || !access.chars().all(|letter| "rwm".contains(letter)) {
            return Err(Error::invalid(format!("{access} is not a valid mode for device")));
        }
        if !mapping.path_in_container.starts_with('/') {
            return Err(Error::invalid(format!(
                "{} is not an absolute path",
                mapping.path_in_container
            )));
        }
        find(mapping)?;
    }
    match host.device_cgroup_rules.iter().find(|text| rule(text).is_none()) {
        Some(text) => Err(Error::invalid(format!("invalid device cgroup rule format: '{text}'"))),
        None => Ok(()),
    }
}

/// Finds a node of the guest by its path.
fn find(mapping: &DeviceMapping) -> Result<Device, Error> {
    let path = &mapping.path_on_host;
    let known = COMMON.iter().map(|(path, minor)| node("c", *path, 1, *minor, 0o666));
    let found = known.chain(special()).find(|node| node.path == *path).ok_or_else(|| {
        Error::invalid(format!(
            "error gathering device information while adding custom device \"{path}\": no such \
             file or directory"
        ))
    })?;
    Ok(Device { path: mapping.path_in_container.clone(), ..found })
}

/// Reads `type major:minor access`, where `*` means all.
fn rule(text: &str) -> Option<DeviceRule> {
    let [kind, numbers, access] = text.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let number = |text: &str| match text {
        "*" => Some(None),
        text => text.parse::<u32>().ok().map(|number| Some(i64::from(number))),
    };
    let (major, minor) = numbers.split_once(':')?;
    let fine = matches!(kind, "a" | "b" | "c")
        && !access.is_empty()
        && access.chars().all(|letter| "rwm".contains(letter));
    fine.then_some(DeviceRule {
        allow: true,
        kind: kind.into(),
        major: number(major)?,
        minor: number(minor)?,
        access: access.into(),
    })
}

/// Nodes beside those that every container has. Docker gives a privileged container all nodes of
/// its host; here that is the guest, and these are what its kernel offers. The disks of the
/// machine itself are left out.
pub(crate) fn nodes(host: &HostConfig) -> Vec<Device> {
    let mut nodes = if host.privileged { special() } else { Vec::new() };
    for mapping in &host.devices {
        // Those that are not there were refused when the container was created.
        if let Ok(node) = find(mapping)
            && nodes.iter().all(|other| other.path != node.path)
        {
            nodes.push(node);
        }
    }
    nodes
}

fn special() -> Vec<Device> {
    let mut nodes: Vec<_> = [
        ("/dev/kmsg", 1, 11, 0o644),
        ("/dev/fuse", 10, 229, 0o666),
        ("/dev/net/tun", 10, 200, 0o666),
        ("/dev/loop-control", 10, 237, 0o660),
        ("/dev/mapper/control", 10, 236, 0o600),
        ("/dev/hwrng", 10, 183, 0o600),
    ]
    .into_iter()
    .map(|(path, major, minor, mode)| node("c", path, major, minor, mode))
    .collect();
    nodes.extend((0..8).map(|n| node("b", format!("/dev/loop{n}"), 7, n, 0o660)));
    nodes
}

fn node(kind: &str, path: impl Into<String>, major: i64, minor: i64, mode: u32) -> Device {
    Device {
        kind: kind.into(),
        path: path.into(),
        major,
        minor,
        file_mode: Some(mode),
        uid: Some(0),
        gid: Some(0),
    }
}

/// Memory devices that every container has: path and minor number.
const COMMON: [(&str, i64); 5] =
    [("/dev/null", 3), ("/dev/zero", 5), ("/dev/full", 7), ("/dev/random", 8), ("/dev/urandom", 9)];

#[cfg(test)]
mod tests {
    use super::*;

    fn host(path: &str, rules: &[&str]) -> HostConfig {
        HostConfig {
            devices: vec![DeviceMapping {
                path_on_host: path.into(),
                path_in_container: "/dev/own".into(),
                cgroup_permissions: "rw".into(),
            }],
            device_cgroup_rules: rules.iter().map(|&rule| rule.to_owned()).collect(),
            ..HostConfig::default()
        }
    }

    #[test]
    fn devices_of_the_guest_are_mapped_and_allowed() {
        let host = host("/dev/fuse", &["c 42:* r"]);
        validate(&host).unwrap();
        let nodes = nodes(&host);
        assert_eq!((nodes[0].path.as_str(), nodes[0].minor), ("/dev/own", 229));
        let rules = rules(&host);
        let [.., fuse, own] = &rules[..] else { panic!("{rules:?}") };
        assert_eq!((fuse.minor, fuse.access.as_str()), (Some(229), "rw"));
        assert_eq!((own.major, own.minor), (Some(42), None));
    }

    #[test]
    fn what_there_is_not_is_refused() {
        assert!(validate(&host("/dev/sda", &[])).unwrap_err().to_string().contains("/dev/sda"));
        assert!(validate(&host("/dev/null", &["c 42 r"])).is_err());
    }
}
