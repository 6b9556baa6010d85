//! Plans beside what a Docker daemon (20.10, control groups of version 1) handed to its runtime
//! for the same configuration. `dockerd/*.json` hold the `Config` and `HostConfig` that it showed
//! on inspection, the specification, and the files that it wrote.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::Path;

use hull_plan::{ContainerConfig, Host, HostConfig, Plan, Ulimit, merge_image, plan, validate};
use hull_seccomp::Arch;
use serde::Deserialize;
use serde_json::{Value, json};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn specifications_are_those_of_docker() {
    let mut count = 0;
    for (name, case) in cases() {
        let plan = case.plan();
        let ours = normalize_ours(serde_json::to_value(&plan.spec).unwrap());
        let theirs = normalize_theirs(case.spec);
        assert_eq!(ours, theirs, "{name}");
        assert_eq!(plan.files["/etc/hosts"], case.files["hosts"], "{name}");
        assert_eq!(plan.files["/etc/hostname"], case.files["hostname"], "{name}");
        assert_eq!(plan.files["/etc/resolv.conf"], case.files["resolv.conf"], "{name}");
        count += 1;
    }
    assert_eq!(count, 22);
}

#[test]
fn what_is_no_mount_is_in_the_plan() {
    let cases: BTreeMap<_, _> = cases().into_iter().collect();
    assert!(cases["init"].plan().init);
    assert_eq!(cases["user"].plan().user.as_deref(), Some("u"));
    assert_eq!(cases["user"].plan().groups, ["44"]);
    assert_eq!(cases["user"].plan().vm, cases["plain"].plan().vm);
    let profile = |case: &str| cases[case].plan().spec.linux.unwrap().seccomp;
    assert!(profile("priv").is_none());
    assert!(profile("plain").unwrap().syscalls.len() > 10);
    let plan = cases["plain"].plan();
    assert_eq!((plan.path.as_str(), plan.args), ("sleep", vec!["100".to_owned()]));
}

/// Whole specifications, apart from the seccomp profile, which has tests of its own.
#[test]
fn snapshots() {
    let cases: BTreeMap<_, _> = cases().into_iter().collect();
    for name in ["plain", "priv", "ro", "limits"] {
        let mut spec = cases[name].plan().spec;
        spec.linux.as_mut().unwrap().seccomp = None;
        insta::assert_json_snapshot!(name, spec);
    }
}

/// What Docker does not say and Hull does, or the other way round: see [`hull_plan::plan`].
fn normalize_ours(mut spec: Value) -> Value {
    spec.as_object_mut().unwrap().remove("ociVersion");
    spec["root"].as_object_mut().unwrap().remove("path");
    let process = spec["process"].as_object_mut().unwrap();
    process.remove("user");
    process.remove("rlimits");
    strip_capabilities(&mut process["capabilities"]);
    let linux = spec["linux"].as_object_mut().unwrap();
    for own in ["cgroupsPath", "devices"] {
        linux.remove(own);
    }
    let seccomp = linux.remove("seccomp").is_some();
    linux.insert("seccomp".into(), seccomp.into());
    drop_items(&mut linux["namespaces"], |namespace| namespace["type"] == "cgroup");
    if let Some(masked) = linux.get_mut("maskedPaths") {
        drop_items(masked, |path| *path == json!("/sys/devices/virtual/powercap"));
    }
    let memory = &mut linux["resources"]["memory"];
    if memory["limit"] == json!(hull_plan::DEFAULT_MEMORY) {
        memory.as_object_mut().unwrap().remove("limit");
    }
    spec
}

fn normalize_theirs(mut spec: Value) -> Value {
    spec["process"].as_object_mut().unwrap().remove("rlimits");
    // A user other than root is known to Docker: it leaves out what exec would take away.
    let bounding = spec["process"]["capabilities"]["bounding"].clone();
    for set in ["effective", "permitted"] {
        spec["process"]["capabilities"][set] = bounding.clone();
    }
    strip_capabilities(&mut spec["process"]["capabilities"]);
    // The init process is a mount and a prefix there.
    let args = spec["process"]["args"].as_array_mut().unwrap();
    if args[0] == "/sbin/docker-init" {
        args.drain(..2);
    }
    let linux = spec["linux"].as_object_mut().unwrap();
    if let Some(domain) = linux["sysctl"].as_object_mut().unwrap().remove("kernel.domainname") {
        spec["domainname"] = domain;
    }
    let linux = spec["linux"].as_object_mut().unwrap();
    drop_items(&mut linux["namespaces"], |namespace| namespace["type"] == "network");
    let resources = linux["resources"].as_object_mut().unwrap();
    resources["memory"].as_object_mut().unwrap().remove("disableOOMKiller");
    let cpu = resources["cpu"].as_object_mut().unwrap();
    if cpu["shares"] == 0 {
        cpu.remove("shares");
    }
    if cpu.is_empty() {
        resources.remove("cpu");
    }
    spec
}

/// The last three are newer than that Docker.
fn strip_capabilities(sets: &mut Value) {
    let newer = ["CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"].map(Value::from);
    for set in sets.as_object_mut().unwrap().values_mut() {
        drop_items(set, |name| newer.contains(name));
    }
}

fn drop_items(list: &mut Value, unwanted: impl Fn(&Value) -> bool) {
    list.as_array_mut().unwrap().retain(|item| !unwanted(item));
}

fn cases() -> Vec<(String, Case)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dockerd");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("ID64", ID).replace("ID12", &ID[..12]);
        let case = serde_json::from_str(&text).unwrap();
        cases.push((path.file_stem().unwrap().to_str().unwrap().to_owned(), case));
    }
    cases
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Case {
    config: Config,
    host_config: DockerHostConfig,
    #[serde(rename = "files")]
    files: BTreeMap<String, String>,
    #[serde(rename = "spec")]
    spec: Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    hostname: String,
    domainname: String,
    user: String,
    tty: bool,
    env: Vec<String>,
    cmd: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    working_dir: String,
    volumes: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DockerHostConfig {
    cap_add: Vec<String>,
    cap_drop: Vec<String>,
    dns: Vec<String>,
    dns_options: Vec<String>,
    dns_search: Vec<String>,
    extra_hosts: Vec<String>,
    group_add: Vec<String>,
    ipc_mode: String,
    oom_score_adj: i32,
    privileged: bool,
    readonly_rootfs: bool,
    security_opt: Vec<String>,
    shm_size: i64,
    memory: i64,
    nano_cpus: i64,
    cpu_shares: i64,
    cpu_period: i64,
    cpu_quota: i64,
    cpuset_cpus: String,
    memory_reservation: i64,
    memory_swap: i64,
    pids_limit: Option<i64>,
    ulimits: Vec<DockerUlimit>,
    sysctls: BTreeMap<String, String>,
    tmpfs: BTreeMap<String, String>,
    init: Option<bool>,
    masked_paths: Option<Vec<String>>,
    readonly_paths: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerUlimit {
    name: String,
    soft: i64,
    hard: i64,
}

impl Case {
    fn plan(&self) -> Plan {
        let (c, h) = (&self.config, &self.host_config);
        let ulimit = |u: &DockerUlimit| Ulimit { name: u.name.clone(), soft: u.soft, hard: u.hard };
        let mut config = ContainerConfig {
            cmd: c.cmd.clone(),
            entrypoint: c.entrypoint.clone(),
            env: c.env.clone(),
            user: c.user.clone(),
            working_dir: c.working_dir.clone(),
            hostname: c.hostname.clone(),
            domainname: c.domainname.clone(),
            tty: c.tty,
            volumes: c.volumes.keys().cloned().collect(),
            host: HostConfig {
                memory: h.memory,
                memory_swap: h.memory_swap,
                memory_reservation: h.memory_reservation,
                oom_score_adj: h.oom_score_adj,
                nano_cpus: h.nano_cpus,
                cpu_period: h.cpu_period,
                cpu_quota: h.cpu_quota,
                cpu_shares: h.cpu_shares,
                cpuset_cpus: h.cpuset_cpus.clone(),
                pids_limit: h.pids_limit,
                ulimits: h.ulimits.iter().map(ulimit).collect(),
                cap_add: h.cap_add.clone(),
                cap_drop: h.cap_drop.clone(),
                privileged: h.privileged,
                readonly_rootfs: h.readonly_rootfs,
                tmpfs: h.tmpfs.clone(),
                shm_size: h.shm_size,
                sysctls: h.sysctls.clone(),
                init: h.init,
                security_opt: h.security_opt.clone(),
                masked_paths: h.masked_paths.clone(),
                readonly_paths: h.readonly_paths.clone(),
                ipc_mode: h.ipc_mode.clone(),
                group_add: h.group_add.clone(),
                extra_hosts: h.extra_hosts.clone(),
                dns: h.dns.clone(),
                dns_search: h.dns_search.clone(),
                dns_options: h.dns_options.clone(),
                ..HostConfig::default()
            },
            ..ContainerConfig::default()
        };
        let host = Host {
            arch: Arch::X86_64,
            cpus: 2,
            memory: 24 << 30,
            resolv_conf: "nameserver 192.0.2.53\n".into(),
            address: None,
        };
        validate(&config, &host).unwrap();
        merge_image(&mut config, &hull_plan::ImageConfig::default()).unwrap();
        plan(ID, &config, &host).unwrap()
    }
}
