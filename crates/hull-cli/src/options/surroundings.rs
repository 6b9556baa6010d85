//! What a container sees around itself: names, namespaces, security, logs.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use serde_json::{Value as Json, json};

use super::sparse::Sparse;
use crate::error::Failure;
use crate::flags::FlagSet;
use crate::output;

/// Flags that say what is around a container's processes.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    add_host: Vec<String>,
    annotation: Vec<String>,
    cgroupns: String,
    dns: Vec<String>,
    dns_opt: Vec<String>,
    dns_option: Vec<String>,
    dns_search: Vec<String>,
    group_add: Vec<String>,
    ipc: String,
    log_driver: String,
    log_opt: Vec<String>,
    pid: String,
    runtime: String,
    security_opt: Vec<String>,
    use_api_socket: bool,
    userns: String,
    uts: String,
}

impl Surroundings {
    /// Adds the flags.
    #[rustfmt::skip]
    pub(super) fn register<'a>(&'a mut self, flags: &mut FlagSet<'a>) {
        flags.long(&mut self.add_host, "add-host", "Add a custom host-to-IP mapping (host:ip)");
        flags.long(&mut self.annotation, "annotation", "Add an annotation to the container (passed through to the OCI runtime)");
        flags.long(&mut self.cgroupns, "cgroupns", "Cgroup namespace to use (host|private)");
        flags.long(&mut self.dns, "dns", "Set custom DNS servers");
        flags.long(&mut self.dns_option, "dns-option", "Set DNS options");
        flags.hidden(&mut self.dns_opt, "dns-opt");
        flags.long(&mut self.dns_search, "dns-search", "Set custom DNS search domains");
        flags.long(&mut self.group_add, "group-add", "Add additional groups to join");
        flags.long(&mut self.ipc, "ipc", "IPC mode to use");
        flags.long(&mut self.log_driver, "log-driver", "Logging driver for the container");
        flags.long(&mut self.log_opt, "log-opt", "Log driver options");
        flags.long(&mut self.pid, "pid", "PID namespace to use");
        flags.long(&mut self.runtime, "runtime", "Runtime to use for this container");
        flags.long(&mut self.security_opt, "security-opt", "Security Options");
        flags.long(&mut self.use_api_socket, "use-api-socket", "Bind mount Docker API socket and required auth");
        flags.long(&mut self.userns, "userns", "User namespace to use");
        flags.long(&mut self.uts, "uts", "UTS namespace to use");
    }

    /// Adds what was given, as Docker's `HostConfig`.
    pub(super) fn fill(&self, host: &mut Sparse) -> Result<(), Failure> {
        if self.use_api_socket {
            return Err(Failure::with_hint(
                "--use-api-socket is not supported",
                "mount the daemon's socket: -v $HULL_SOCKET:/var/run/docker.sock; who can speak to \
                 the daemon controls everything that it can",
            ));
        }
        for server in &self.dns {
            if server.trim().parse::<IpAddr>().is_err() {
                return Err(Failure::new(format!(
                    "invalid argument {server:?} for \"--dns\" flag: IP address is not correctly \
                     formatted: {server}"
                )));
            }
        }
        self.check_modes()?;
        for domain in &self.dns_search {
            check_domain(domain)?;
        }
        host.put("ExtraHosts", json!(extra_hosts(&self.add_host)?));
        host.put("Annotations", json!(pairs(&self.annotation, "annotation")?));
        host.put("CgroupnsMode", json!(self.cgroupns));
        host.put("Dns", json!(self.dns));
        host.put("DnsOptions", json!([&self.dns_option[..], &self.dns_opt].concat()));
        host.put("DnsSearch", json!(self.dns_search));
        host.put("GroupAdd", json!(self.group_add));
        host.put("IpcMode", json!(self.ipc));
        host.put("PidMode", json!(self.pid));
        host.put("Runtime", json!(self.runtime));
        host.put("UsernsMode", json!(self.userns));
        host.put("UTSMode", json!(self.uts));
        if self.log_driver == "none" && !self.log_opt.is_empty() {
            return Err(Failure::new("invalid logging opts for driver none"));
        }
        let mut log = Sparse::default();
        log.put("Type", json!(self.log_driver));
        log.put("Config", json!(pairs(&self.log_opt, "log-opt")?));
        host.put("LogConfig", Json::Object(log.0));
        self.security(host)
    }

    /// Refuses modes of namespaces that docker's client does not know.
    fn check_modes(&self) -> Result<(), Failure> {
        let is_container = |mode: &str| {
            mode.strip_prefix("container:").is_some_and(|container| !container.is_empty())
        };
        let pid = is_container(&self.pid) || matches!(self.pid.as_str(), "" | "host" | "private");
        for (flag, kind, fits) in [
            ("pid", "PID", pid),
            ("uts", "UTS", matches!(self.uts.as_str(), "" | "host")),
            ("userns", "USER", matches!(self.userns.as_str(), "" | "host")),
            ("cgroupns", "CGROUP", matches!(self.cgroupns.as_str(), "" | "host" | "private")),
        ] {
            if !fits {
                return Err(Failure::new(format!("--{flag}: invalid {kind} mode")));
            }
        }
        Ok(())
    }

    fn security(&self, host: &mut Sparse) -> Result<(), Failure> {
        let mut options = Vec::new();
        for option in &self.security_opt {
            if option == "systempaths=unconfined" {
                // Docker's client clears the two lists.
                host.0.insert("MaskedPaths".into(), json!([]));
                host.0.insert("ReadonlyPaths".into(), json!([]));
                continue;
            }
            let pair = option.split_once('=').or_else(|| option.split_once(':'));
            let (key, value) = match pair {
                Some(pair) => pair,
                None if matches!(option.as_str(), "no-new-privileges" | "writable-cgroups") => {
                    options.push(option.clone());
                    continue;
                }
                None => return Err(Failure::new(format!("invalid --security-opt: {option:?}"))),
            };
            if key == "seccomp" && !matches!(value, "unconfined" | "builtin") {
                options.push(format!("seccomp={}", profile(value)?));
            } else {
                options.push(option.clone());
            }
        }
        host.put("SecurityOpt", json!(options));
        Ok(())
    }
}

/// Reads a seccomp profile: the daemon gets its content.
fn profile(path: &str) -> Result<Json, Failure> {
    let failed =
        |why: String| Failure::new(format!("opening seccomp profile ({path}) failed: {why}"));
    let text = fs::read(path)
        .map_err(|error| failed(format!("open {path}: {}", output::reason(&error))))?;
    serde_json::from_slice(&text).map_err(|error| {
        Failure::new(format!("compacting json for seccomp profile ({path}) failed: {error}"))
    })
}

/// Refuses what is no domain to search: docker takes labels of letters, digits, dashes and
/// underscores, and a dot for none.
fn check_domain(domain: &str) -> Result<(), Failure> {
    let fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = domain.strip_suffix('.').unwrap_or(domain);
    if domain.trim() == "." || (labels.len() < 255 && labels.split('.').all(fits)) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "invalid argument {domain:?} for \"--dns-search\" flag: {domain} is not a valid domain"
    )))
}

/// Reads `host:address` and `host=address`.
fn extra_hosts(given: &[String]) -> Result<Vec<String>, Failure> {
    let read = |text: &String| {
        let wrong = |why: String| {
            Failure::new(format!("invalid argument {text:?} for \"--add-host\" flag: {why}"))
        };
        let pair = text.split_once('=').or_else(|| text.split_once(':'));
        let (name, address) = pair
            .filter(|(name, _)| !name.is_empty() && !name.contains(':'))
            .ok_or_else(|| wrong(format!("bad format for add-host: {text:?}")))?;
        if address == "host-gateway" {
            return Ok(format!("{name}:{address}"));
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let bare = bare.unwrap_or(address);
        if bare.trim().parse::<IpAddr>().is_err() {
            return Err(wrong(format!("invalid IP address in add-host: {bare:?}")));
        }
        Ok(format!("{name}:{bare}"))
    };
    given.iter().map(read).collect()
}

/// Reads `key=value`.
fn pairs(given: &[String], flag: &str) -> Result<BTreeMap<String, String>, Failure> {
    let read = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None if flag == "annotation" => Ok((text.clone(), String::new())),
        None => Err(Failure::new("invalid logging option format")),
    };
    given.iter().map(read).collect()
}
