//! Capabilities of a container: capabilities(7), with Docker's defaults.

use hull_spec::Capabilities;

use crate::{Error, HostConfig};

/// All capabilities of Linux 6.12, in the order of their numbers.
const KNOWN: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Docker's 14, in Docker's order.
const DEFAULT: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Adds all capabilities, or drops them, where a name is expected.
const ALL: &str = "ALL";

/// Returns the names that a container is granted.
pub(crate) fn granted(host: &HostConfig) -> Result<Vec<String>, Error> {
    let add = normalize("CapAdd", &host.cap_add)?;
    let drop = normalize("CapDrop", &host.cap_drop)?;
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    if host.privileged {
        return Ok(owned(&KNOWN));
    }
    let has = |list: &[String], name: &str| list.iter().any(|n| n == name);
    let mut granted: Vec<String> = if has(&add, ALL) {
        owned(&KNOWN)
    } else if has(&drop, ALL) {
        return Ok(unique(add));
    } else {
        owned(&DEFAULT)
    };
    granted.retain(|name| !has(&drop, name));
    if !has(&add, ALL) {
        granted.extend(add);
    }
    Ok(unique(granted))
}

/// Puts `granted` into the sets that Docker uses: bounding, effective and permitted. A program
/// that runs as another user than root loses the latter two when it is executed.
pub(crate) fn sets(granted: &[String]) -> Capabilities {
    Capabilities {
        bounding: granted.to_vec(),
        effective: granted.to_vec(),
        permitted: granted.to_vec(),
        ..Capabilities::default()
    }
}

fn normalize(field: &str, names: &[String]) -> Result<Vec<String>, Error> {
    names
        .iter()
        .map(|name| {
            let mut name = name.to_uppercase();
            if name == ALL {
                return Ok(name);
            }
            if !name.starts_with("CAP_") {
                name.insert_str(0, "CAP_");
            }
            if KNOWN.contains(&name.as_str()) {
                Ok(name)
            } else {
                Err(Error::invalid(format!("invalid {field}: unknown capability: \"{name}\"")))
            }
        })
        .collect()
}

fn unique(names: Vec<String>) -> Vec<String> {
    let mut unique = Vec::with_capacity(names.len());
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(add: &[&str], drop: &[&str]) -> HostConfig {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        HostConfig { cap_add: owned(add), cap_drop: owned(drop), ..HostConfig::default() }
    }

    #[test]
    fn adding_and_dropping() {
        let granted = |add: &[&str], drop: &[&str]| super::granted(&config(add, drop)).unwrap();
        assert_eq!(granted(&[], &[]), DEFAULT);
        assert_eq!(
            granted(&["net_admin", "CAP_sys_admin"], &["all"]),
            ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]
        );
        assert_eq!(granted(&["ALL"], &[]), KNOWN);
        // ALL among what is dropped does not undo ALL among what is added, as in Docker.
        assert_eq!(granted(&["ALL"], &["ALL"]), KNOWN);
        assert_eq!(granted(&["ALL"], &["chown"]), KNOWN[1..]);
        assert_eq!(granted(&["chown", "CHOWN"], &[]), DEFAULT);
        let changed = granted(&["sys_time"], &["chown"]);
        assert_eq!(changed[..13], DEFAULT[1..]);
        assert_eq!(changed[13], "CAP_SYS_TIME");
        // Adding wins over dropping.
        assert_eq!(granted(&["kill"], &["kill"]).last().unwrap(), "CAP_KILL");
    }

    #[test]
    fn unknown_names() {
        for (add, drop, message) in [
            ("foo", "chown", "invalid CapAdd: unknown capability: \"CAP_FOO\""),
            ("chown", "", "invalid CapDrop: unknown capability: \"CAP_\""),
            ("cap_x", "cap_y", "invalid CapAdd: unknown capability: \"CAP_X\""),
        ] {
            let error = granted(&config(&[add], &[drop])).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
