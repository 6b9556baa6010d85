//! Kernel parameters that a container may set.

use std::collections::BTreeMap;

use crate::{ContainerConfig, Error};

/// Parses `key=value` and checks that a container may set it, as Docker's client does.
pub fn parse_sysctl(text: &str) -> Result<(String, String), Error> {
    match text.split_once('=') {
        Some((key, value)) if allowed(key) => Ok((key.to_owned(), value.to_owned())),
        _ => Err(not_allowed(text)),
    }
}

pub(crate) fn validate(config: &ContainerConfig) -> Result<(), Error> {
    for (key, value) in &config.host.sysctls {
        if !allowed(key) {
            return Err(not_allowed(&format!("{key}={value}")));
        }
    }
    Ok(())
}

/// Docker's defaults and the container's own.
pub(crate) fn sysctls(config: &ContainerConfig) -> BTreeMap<String, String> {
    let defaults = [
        // Ports below 1024 need no capability.
        ("net.ipv4.ip_unprivileged_port_start", "0"),
        // ICMP echo sockets need none either.
        ("net.ipv4.ping_group_range", "0 2147483647"),
    ];
    let mut sysctls: BTreeMap<_, _> =
        defaults.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    sysctls.extend(config.host.sysctls.clone());
    sysctls
}

fn not_allowed(text: &str) -> Error {
    Error::invalid(format!("sysctl '{text}' is not allowed"))
}

/// Those that have a namespace.
fn allowed(key: &str) -> bool {
    const NAMES: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    NAMES.contains(&key) || key.starts_with("net.") || key.starts_with("fs.mqueue.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_namespace() {
        for text in ["net.core.somaxconn=9", "kernel.sem=1 2 3 4", "fs.mqueue.msg_max=5", "net.x="]
        {
            assert!(parse_sysctl(text).is_ok(), "{text}");
        }
        for text in ["", "a", "=1", "foo=1", "kernel.hostname=x", "kernel.shmmaxx=1", "net.foo"] {
            let message = parse_sysctl(text).unwrap_err().to_string();
            assert_eq!(message, format!("sysctl '{text}' is not allowed"));
        }
    }
}
