//! `GET /containers/{id}/json`.

use hull_engine::{ContainerConfig, Health, Inspect, Mount, Origin, Status, Timing};
use serde_json::{Map, Value, json};

use super::host_config::host_config_json;
use super::network::network_settings;
use super::time;

/// Writes all about a container.
pub(crate) fn container_inspect(container: &Inspect) -> Value {
    let state = &container.state;
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let mut value = json!({
        "Id": container.id,
        "Created": time(Some(container.created)),
        "Path": container.path,
        "Args": container.args,
        "State": {
            "Status": state.status.as_str(),
            "Running": state.status.is_up(),
            "Paused": state.status == Status::Paused,
            "Restarting": state.status == Status::Restarting,
            "OOMKilled": state.oom_killed,
            "Dead": state.status == Status::Dead,
            "Pid": state.pid,
            "ExitCode": state.exit_code,
            "Error": state.error,
            "StartedAt": time(state.started_at),
            "FinishedAt": time(state.finished_at),
        },
        "Image": container.image,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        // Docker names it at the first start.
        "LogPath": match (&container.log_path, state.started_at) {
            (Some(log), Some(_)) => path(log),
            _ => String::new(),
        },
        "Name": format!("/{}", container.name),
        "RestartCount": container.restart_count,
        "Driver": "hull",
        "Platform": container.os,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": if container.execs.is_empty() { Value::Null } else { json!(container.execs) },
        "HostConfig": host_config_json(&container.config.host),
        "GraphDriver": {"Data": null, "Name": "hull"},
    });
    if !container.links.is_empty() {
        value["HostConfig"]["Links"] = json!(container.links);
    }
    if let Some(health) = &container.health {
        value["State"]["Health"] = health_json(health);
    }
    if let Some(size) = container.size_rw {
        value["SizeRw"] = json!(size);
    }
    if let Some(size) = container.size_root_fs {
        value["SizeRootFs"] = json!(size);
    }
    value["Mounts"] = container.mounts.iter().map(mount).collect();
    value["Config"] = config(&container.id, &container.config);
    value["NetworkSettings"] = network_settings(
        &container.endpoints,
        container.config.exposed_ports.iter(),
        &container.ports,
    );
    value["Hull"] = json!({
        "Architecture": container.architecture,
        "Start": container.start.as_ref().map(start),
        "Timings": timings(&container.timings),
    });
    value
}

/// Writes what its checks have found.
fn health_json(health: &Health) -> Value {
    let checks: Vec<Value> = health
        .log
        .iter()
        .map(|check| {
            json!({
                "Start": time(Some(check.start)),
                "End": time(Some(check.end)),
                "ExitCode": check.exit_code,
                "Output": check.output,
            })
        })
        .collect();
    json!({
        "Status": health.status.as_str(),
        "FailingStreak": health.failing_streak,
        "Log": checks,
    })
}

/// Writes how a container's machine came to be.
fn start(origin: &Origin) -> Value {
    json!({
        "Mode": origin.mode.as_str(),
        "Reason": origin.reason.as_deref().unwrap_or_default(),
        "Template": origin.template.as_deref().unwrap_or_default(),
        "Warnings": origin.warnings,
    })
}

/// Writes the phases of a start; microseconds.
pub(crate) fn timings(timings: &[Timing]) -> Value {
    timings
        .iter()
        .map(|timing| {
            json!({
                "Phase": timing.phase,
                "Begin": timing.begin_us,
                "Duration": timing.duration_us,
            })
        })
        .collect()
}

/// Writes one mount of a container.
pub(super) fn mount(mount: &Mount) -> Value {
    let mut value = Map::new();
    value.insert("Type".into(), json!(mount.kind));
    if !mount.name.is_empty() {
        value.insert("Name".into(), json!(mount.name));
    }
    value.insert("Source".into(), json!(mount.source));
    value.insert("Destination".into(), json!(mount.destination));
    if !mount.driver.is_empty() {
        value.insert("Driver".into(), json!(mount.driver));
    }
    value.insert("Mode".into(), json!(mount.mode));
    value.insert("RW".into(), json!(mount.writable));
    value.insert("Propagation".into(), json!(mount.propagation));
    Value::Object(value)
}

fn config(id: &str, config: &ContainerConfig) -> Value {
    let set = |keys: &std::collections::BTreeSet<String>| -> Value {
        if keys.is_empty() {
            return Value::Null;
        }
        keys.iter().map(|key| (key.clone(), json!({}))).collect::<Map<_, _>>().into()
    };
    let hostname =
        if config.hostname.is_empty() { id.get(..12).unwrap_or(id) } else { &config.hostname };
    let mut value = json!({
        "Hostname": hostname,
        "Domainname": config.domainname,
        "User": config.user,
        "AttachStdin": config.attach_stdin,
        "AttachStdout": config.attach_stdout,
        "AttachStderr": config.attach_stderr,
        "ExposedPorts": set(&config.exposed_ports),
        "Tty": config.tty,
        "OpenStdin": config.open_stdin,
        "StdinOnce": config.stdin_once,
        "Env": config.env,
        "Cmd": config.cmd,
        "Healthcheck": config.healthcheck,
        "Image": config.image,
        "Volumes": set(&config.volumes),
        "WorkingDir": config.working_dir,
        "Entrypoint": config.entrypoint,
        "OnBuild": null,
        "Labels": config.labels,
        "StopSignal": config.stop_signal,
        "StopTimeout": config.stop_timeout,
    });
    if let Value::Object(fields) = &mut value {
        fields.retain(|name, value| !value.is_null() || !LEFT_OUT.contains(&name.as_str()));
    }
    value
}

/// Fields that Docker leaves out where they are empty.
const LEFT_OUT: [&str; 4] = ["ExposedPorts", "Healthcheck", "StopSignal", "StopTimeout"];
