//! `HostConfig` in both directions.

use hull_engine::{BlkioRates, HostConfig, Link, LogConfig, RestartPolicy, Ulimit, Update};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::Fields;
use super::ports::PortMap;
use crate::error::ApiError;

/// Reads what the host is to give a container.
///
/// # Errors
/// A field of the wrong type, or one that Hull cannot honour.
pub(crate) fn host_config(value: Value) -> Result<HostConfig, ApiError> {
    let mut fields = Fields::new("HostConfig", value)?;
    let ulimits: Vec<WireUlimit> = fields.take("Ulimits")?;
    let config = HostConfig {
        memory: fields.take("Memory")?,
        memory_swap: fields.take("MemorySwap")?,
        memory_reservation: fields.take("MemoryReservation")?,
        // Old clients say -1 for "not given".
        memory_swappiness: fields.take::<Option<i64>>("MemorySwappiness")?.filter(|&v| v != -1),
        oom_kill_disable: fields.take("OomKillDisable")?,
        oom_score_adj: fields.take("OomScoreAdj")?,
        nano_cpus: fields.take("NanoCpus")?,
        cpu_period: fields.take("CpuPeriod")?,
        cpu_quota: fields.take("CpuQuota")?,
        cpu_shares: fields.take("CpuShares")?,
        cpuset_cpus: fields.take("CpusetCpus")?,
        cpuset_mems: fields.take("CpusetMems")?,
        pids_limit: fields.take("PidsLimit")?,
        ulimits: ulimits.into_iter().map(Ulimit::from).collect(),
        cap_add: fields.take("CapAdd")?,
        cap_drop: fields.take("CapDrop")?,
        privileged: fields.take("Privileged")?,
        readonly_rootfs: fields.take("ReadonlyRootfs")?,
        tmpfs: fields.take("Tmpfs")?,
        binds: fields.take("Binds")?,
        mounts: fields.take("Mounts")?,
        volumes_from: fields.take("VolumesFrom")?,
        volume_driver: fields.take("VolumeDriver")?,
        storage_opt: fields.take("StorageOpt")?,
        shm_size: fields.take("ShmSize")?,
        sysctls: fields.take("Sysctls")?,
        init: fields.take("Init")?,
        security_opt: fields.take("SecurityOpt")?,
        masked_paths: fields.take("MaskedPaths")?,
        readonly_paths: fields.take("ReadonlyPaths")?,
        network_mode: fields.take("NetworkMode")?,
        port_bindings: fields.take::<PortMap>("PortBindings")?.into_bindings(),
        publish_all_ports: fields.take("PublishAllPorts")?,
        publish_sockets: fields.take("PublishSockets")?,
        ssh_auth_sock: fields.take("SshAuthSock")?,
        ipc_mode: fields.take("IpcMode")?,
        pid_mode: fields.take("PidMode")?,
        uts_mode: fields.take("UTSMode")?,
        userns_mode: fields.take("UsernsMode")?,
        cgroupns_mode: fields.take("CgroupnsMode")?,
        auto_remove: fields.take("AutoRemove")?,
        isolation: fields.take("Isolation")?,
        kernel: fields.take::<Option<String>>("Kernel")?.filter(|path| !path.is_empty()),
        group_add: fields.take("GroupAdd")?,
        extra_hosts: fields.take("ExtraHosts")?,
        links: links(fields.take("Links")?)?,
        dns: fields.take("Dns")?,
        dns_search: fields.take("DnsSearch")?,
        dns_options: fields.take("DnsOptions")?,
        annotations: fields.take("Annotations")?,
        restart_policy: restart_policy(fields.value("RestartPolicy"))?,
        log: log_config(fields.value("LogConfig"))?,
        devices: fields.take("Devices")?,
        device_cgroup_rules: fields.take("DeviceCgroupRules")?,
        blkio_weight: fields.take("BlkioWeight")?,
        blkio_rates: BlkioRates {
            read_bytes: fields.take("BlkioDeviceReadBps")?,
            write_bytes: fields.take("BlkioDeviceWriteBps")?,
            read_operations: fields.take("BlkioDeviceReadIOps")?,
            write_operations: fields.take("BlkioDeviceWriteIOps")?,
        },
    };
    let runtime: String = fields.take("Runtime")?;
    if !matches!(runtime.as_str(), "" | "hull") {
        return Err(ApiError::bad_request(format!("unknown or invalid runtime name: {runtime}")));
    }
    // Says where the client keeps the identifier: nothing for the engine to do.
    fields.value("ContainerIDFile");
    // The size of the client's terminal. Clients set it again with `resize` after the start.
    fields.value("ConsoleSize");
    fields.finish()?;
    Ok(config)
}

/// Writes what the host gives a container, with the fields that Docker always shows.
pub(crate) fn host_config_json(config: &HostConfig) -> Value {
    let mut value = json!({
        "Binds": list(&config.binds),
        "ContainerIDFile": "",
        "LogConfig": {"Type": or(&config.log.driver, "json-file"), "Config": config.log.options},
        "NetworkMode": shown_network(&config.network_mode),
        "PortBindings": super::ports::bindings(&config.port_bindings),
        "RestartPolicy": {
            "Name": config.restart_policy.mode.as_str(),
            "MaximumRetryCount": config.restart_policy.maximum_retry_count,
        },
        "AutoRemove": config.auto_remove,
        "VolumeDriver": config.volume_driver,
        "VolumesFrom": list(&config.volumes_from),
        "ConsoleSize": [0, 0],
        "CapAdd": list(&config.cap_add),
        "CapDrop": list(&config.cap_drop),
        "CgroupnsMode": or(&config.cgroupns_mode, "private"),
        "Dns": config.dns,
        "DnsOptions": config.dns_options,
        "DnsSearch": config.dns_search,
        "ExtraHosts": list(&config.extra_hosts),
        "GroupAdd": list(&config.group_add),
        "IpcMode": or(&config.ipc_mode, "private"),
        "Cgroup": "",
        "Links": null,
        "OomScoreAdj": config.oom_score_adj,
        "PidMode": config.pid_mode,
        "Privileged": config.privileged,
        "PublishAllPorts": config.publish_all_ports,
        "ReadonlyRootfs": config.readonly_rootfs,
        "SecurityOpt": list(&config.security_opt),
        "UTSMode": config.uts_mode,
        "UsernsMode": config.userns_mode,
        "ShmSize": if config.shm_size == 0 { 64 << 20 } else { config.shm_size },
        "Runtime": "hull",
        "Isolation": or(&config.isolation, "vm"),
        "MaskedPaths": hull_engine::masked_paths(config),
        "ReadonlyPaths": hull_engine::readonly_paths(config),
    });
    let optional = [
        ("Mounts", (!config.mounts.is_empty()).then(|| json!(config.mounts))),
        ("StorageOpt", (!config.storage_opt.is_empty()).then(|| json!(config.storage_opt))),
        ("Tmpfs", (!config.tmpfs.is_empty()).then(|| json!(config.tmpfs))),
        ("Sysctls", (!config.sysctls.is_empty()).then(|| json!(config.sysctls))),
        ("Annotations", (!config.annotations.is_empty()).then(|| json!(config.annotations))),
        ("Init", config.init.map(Value::Bool)),
        ("Kernel", config.kernel.clone().map(Value::String)),
        (
            "PublishSockets",
            (!config.publish_sockets.is_empty()).then(|| json!(config.publish_sockets)),
        ),
        ("SshAuthSock", (!config.ssh_auth_sock.is_empty()).then(|| json!(config.ssh_auth_sock))),
    ];
    for (name, given) in optional {
        if let Some(given) = given {
            value[name] = given;
        }
    }
    if let (Value::Object(all), Value::Object(resources)) = (&mut value, resources(config)) {
        all.extend(resources);
    }
    value
}

/// The fields of Docker's `Resources`, which `HostConfig` has too.
fn resources(config: &HostConfig) -> Value {
    let ulimits: Vec<Value> = config
        .ulimits
        .iter()
        .map(|limit| json!({"Name": limit.name, "Hard": limit.hard, "Soft": limit.soft}))
        .collect();
    json!({
        "CpuShares": config.cpu_shares,
        "Memory": config.memory,
        "NanoCpus": config.nano_cpus,
        "CgroupParent": "",
        "BlkioWeight": config.blkio_weight,
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": config.blkio_rates.read_bytes,
        "BlkioDeviceWriteBps": config.blkio_rates.write_bytes,
        "BlkioDeviceReadIOps": config.blkio_rates.read_operations,
        "BlkioDeviceWriteIOps": config.blkio_rates.write_operations,
        "CpuPeriod": config.cpu_period,
        "CpuQuota": config.cpu_quota,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": config.cpuset_cpus,
        "CpusetMems": config.cpuset_mems,
        "Devices": config.devices,
        "DeviceCgroupRules": list(&config.device_cgroup_rules),
        "DeviceRequests": null,
        "MemoryReservation": config.memory_reservation,
        "MemorySwap": config.memory_swap,
        "MemorySwappiness": config.memory_swappiness,
        "OomKillDisable": config.oom_kill_disable.unwrap_or(false),
        "PidsLimit": config.pids_limit,
        "Ulimits": ulimits,
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    })
}

/// Returns a network mode as Docker shows it.
pub(crate) fn shown_network(mode: &str) -> &str {
    or(mode, "default")
}

/// Reads the body of `POST /containers/{id}/update`.
pub(crate) fn update(value: Value) -> Result<Update, ApiError> {
    let policy = value.get("RestartPolicy").is_some_and(|policy| policy["Name"] != json!(""));
    let limits = host_config(value)?;
    let only = HostConfig {
        nano_cpus: limits.nano_cpus,
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota,
        cpu_shares: limits.cpu_shares,
        cpuset_cpus: limits.cpuset_cpus.clone(),
        cpuset_mems: limits.cpuset_mems.clone(),
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        memory_reservation: limits.memory_reservation,
        pids_limit: limits.pids_limit,
        blkio_weight: limits.blkio_weight,
        restart_policy: limits.restart_policy,
        ..HostConfig::default()
    };
    if only != limits {
        return Err(ApiError::bad_request("only limits and the restart policy can be updated"));
    }
    Ok(Update { restart_policy: policy.then_some(limits.restart_policy), limits })
}

fn links(texts: Vec<String>) -> Result<Vec<Link>, ApiError> {
    let parse = |text: &String| Link::parse(text);
    let links: Result<_, _> = texts.iter().map(parse).collect();
    links.map_err(|error| ApiError::bad_request(error.to_string()))
}

fn log_config(value: Value) -> Result<LogConfig, ApiError> {
    let mut fields = Fields::new("HostConfig.LogConfig", value)?;
    let config = LogConfig { driver: fields.take("Type")?, options: fields.take("Config")? };
    fields.finish()?;
    Ok(config)
}

/// Reads Docker's `RestartPolicy`.
pub(crate) fn restart_policy(value: Value) -> Result<RestartPolicy, ApiError> {
    let mut fields = Fields::new("HostConfig.RestartPolicy", value)?;
    let (name, count): (String, i64) = (fields.take("Name")?, fields.take("MaximumRetryCount")?);
    fields.finish()?;
    RestartPolicy::parse(&name, count).map_err(|error| ApiError::bad_request(error.to_string()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct WireUlimit {
    name: String,
    soft: i64,
    hard: i64,
}

impl From<WireUlimit> for Ulimit {
    fn from(wire: WireUlimit) -> Self {
        Self { name: wire.name, soft: wire.soft, hard: wire.hard }
    }
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

/// Docker shows lists that nobody gave as null.
fn list(values: &[String]) -> Value {
    if values.is_empty() { Value::Null } else { json!(values) }
}
