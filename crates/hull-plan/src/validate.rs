//! Checks of everything that does not depend on the image.

use crate::{
    ContainerConfig, Error, Host, HostConfig, capabilities, devices, files, health, limits, mounts,
    parse_signal, restart, security::Security, sockets, sysctl,
};

/// Checks everything about `config` that can be checked without its image, in Docker's words.
/// The daemon calls it when a container is created.
///
/// # Errors
/// The first thing that is wrong, in about the order in which Docker finds it.
pub fn validate(config: &ContainerConfig, host: &Host) -> Result<(), Error> {
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Error::invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        )));
    }
    if let Some(signal) = config.stop_signal.as_deref().filter(|s| !s.is_empty()) {
        parse_signal(signal)?;
    }
    for variable in &config.env {
        if variable.is_empty() || variable.starts_with('=') {
            return Err(Error::invalid(format!("invalid environment variable: {variable}")));
        }
        if variable.contains('\0') {
            return Err(Error::invalid(format!(
                "invalid environment variable: {}",
                variable.escape_debug()
            )));
        }
    }
    health::validate(config)?;
    files::validate(&config.host)?;
    capabilities::granted(&config.host)?;
    isolation(&config.host.isolation)?;
    restart::validate(&config.host)?;
    if config.host.annotations.contains_key("") {
        return Err(Error::invalid(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    if config.hostname.len() > HOST_NAME_MAX {
        return Err(Error::invalid(format!(
            "hostname \"{}\" is too long (maximum {HOST_NAME_MAX} bytes)",
            config.hostname
        )));
    }
    if config.domainname.len() > HOST_NAME_MAX {
        return Err(Error::invalid(format!(
            "domainname \"{}\" is too long (maximum {HOST_NAME_MAX} bytes)",
            config.domainname
        )));
    }
    for name in [&config.hostname, &config.domainname] {
        if name.contains(char::is_control) {
            return Err(Error::invalid(format!("invalid hostname: \"{}\"", name.escape_debug())));
        }
    }
    limits::validate(&config.host, host)?;
    devices::validate(&config.host)?;
    config.host.log.plan()?;
    namespaces(&config.host)?;
    network(&config.host.network_mode)?;
    mounts::validate(config)?;
    sockets::validate(&config.host)?;
    Security::parse(&config.host.security_opt)?;
    sysctl::validate(config)
}

/// Checks an update of a container that does not run and that `updated` has been merged into: what it
/// says of memory only for itself, as dockerd does.
///
/// # Errors
/// As [`validate`].
pub fn validate_update(
    update: &HostConfig,
    updated: &ContainerConfig,
    host: &Host,
) -> Result<(), Error> {
    limits::validate_memory_update(update)?;
    let mut rest = updated.clone();
    (rest.host.memory, rest.host.memory_swap, rest.host.memory_reservation) = (0, 0, 0);
    validate(&rest, host)
}

/// `HOST_NAME_MAX` of `linux/limits.h`.
const HOST_NAME_MAX: usize = 64;

/// Never falls back from one isolation to another.
fn isolation(name: &str) -> Result<(), Error> {
    match name {
        "" | "default" | "vm" => Ok(()),
        "process" => Err(Error::Isolation(name.into())),
        _ => Err(Error::invalid(format!(
            "Invalid isolation: \"{name}\" - hull supports 'vm' and 'process'"
        ))),
    }
}

/// Namespaces that are the container's own; those of the host or of another container are in
/// another machine.
fn namespaces(host: &HostConfig) -> Result<(), Error> {
    let modes: [(&str, &str, &[&str]); 5] = [
        ("IPC", &host.ipc_mode, &["private", "shareable", "none"]),
        ("PID", &host.pid_mode, &["private"]),
        ("UTS", &host.uts_mode, &["private"]),
        ("user namespace", &host.userns_mode, &["host"]),
        ("cgroup namespace", &host.cgroupns_mode, &["private", "host"]),
    ];
    for (what, mode, supported) in modes {
        if mode.is_empty() || supported.contains(&mode) {
            continue;
        }
        if mode == "host" || mode.starts_with("container:") {
            return Err(shares_machine(what, mode));
        }
        return Err(Error::invalid(format!("invalid {what} mode: {mode}")));
    }
    Ok(())
}

/// The network of a machine is its container's alone.
fn network(mode: &str) -> Result<(), Error> {
    if mode == "host" || mode.starts_with("container:") {
        return Err(shares_machine("network", mode));
    }
    Ok(())
}

fn shares_machine(what: &str, mode: &str) -> Error {
    Error::unsupported(format!(
        "{what} mode \"{mode}\" is not supported: every container has a machine of its own"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hull_seccomp::Arch;

    fn check(json: &str) -> Result<(), String> {
        let config: ContainerConfig = serde_json::from_str(json).unwrap();
        let host = Host {
            arch: Arch::X86_64,
            cpus: 2,
            memory: 8 << 30,
            resolv_conf: String::new(),
            address: None,
        };
        validate(&config, &host).map_err(|error| error.to_string())
    }

    #[test]
    fn fine() {
        for json in [
            "{}",
            r#"{"env": ["A=", "B", "C==x"], "stop_signal": "SIGRTMIN+3", "working_dir": "/a/../b"}"#,
            r#"{"host": {"isolation": "vm", "ipc_mode": "none", "network_mode": "none"}}"#,
            r#"{"host": {"tmpfs": {"/run": "", "/tmp/": "size=1m"}, "cgroupns_mode": "host"}}"#,
        ] {
            assert_eq!(check(json), Ok(()), "{json}");
        }
    }

    #[test]
    fn messages_are_those_of_docker() {
        let long = "a".repeat(65);
        let cases = [
            (
                r#"{"working_dir": "rel"}"#,
                "the working directory 'rel' is invalid, it needs to be an absolute path",
            ),
            (r#"{"stop_signal": "FOO"}"#, "Invalid signal: FOO"),
            (r#"{"env": ["=x"]}"#, "invalid environment variable: =x"),
            (r#"{"env": [""]}"#, "invalid environment variable: "),
            (
                r#"{"host": {"cap_add": ["foo"]}}"#,
                "invalid CapAdd: unknown capability: \"CAP_FOO\"",
            ),
            (
                r#"{"host": {"isolation": "process"}}"#,
                "isolation `process` is not built yet: only `vm` can run containers",
            ),
            (
                r#"{"host": {"isolation": "hyperv"}}"#,
                "Invalid isolation: \"hyperv\" - hull supports 'vm' and 'process'",
            ),
            (r#"{"host": {"ipc_mode": "foo"}}"#, "invalid IPC mode: foo"),
            (
                r#"{"host": {"pid_mode": "host"}}"#,
                "PID mode \"host\" is not supported: every container has a machine of its own",
            ),
            (
                r#"{"host": {"network_mode": "container:c"}}"#,
                "network mode \"container:c\" is not supported: every container has a machine of \
                 its own",
            ),
            (
                r#"{"host": {"tmpfs": {"rel": ""}}}"#,
                "invalid mount path: 'rel' mount path must be absolute",
            ),
            (
                r#"{"host": {"tmpfs": {"/x/..": ""}}}"#,
                "invalid specification: destination can't be '/'",
            ),
            (r#"{"host": {"tmpfs": {"/a": "foo"}}}"#, "invalid tmpfs option [\"foo\"]"),
            (r#"{"host": {"security_opt": ["foo"]}}"#, "invalid --security-opt 1: \"foo\""),
            (r#"{"host": {"sysctls": {"foo": "1"}}}"#, "sysctl 'foo=1' is not allowed"),
            (r#"{"host": {"extra_hosts": ["a"]}}"#, "bad format for add-host: \"a\""),
            (r#"{"host": {"dns": ["x"]}}"#, "x is not an ip address"),
            (r#"{"host": {"memory": 4}}"#, "Minimum memory limit allowed is 6MB"),
        ];
        for (json, message) in cases {
            assert_eq!(check(json).unwrap_err(), message, "{json}");
        }
        assert_eq!(
            check(&format!(r#"{{"hostname": "{long}"}}"#)).unwrap_err(),
            format!("hostname \"{long}\" is too long (maximum 64 bytes)")
        );
    }
}
