//! A container's configuration as an image's.

use std::collections::BTreeSet;

use hull_plan::ContainerConfig;
use serde_json::{Map, Value, json};

/// Returns the `config` object of an image whose containers start as this one.
pub(crate) fn image_config(config: &ContainerConfig) -> Value {
    let set = |keys: &BTreeSet<String>| -> Value {
        keys.iter().map(|key| (key.clone(), json!({}))).collect::<Map<_, _>>().into()
    };
    let mut value = json!({
        "Hostname": config.hostname,
        "Domainname": config.domainname,
        "User": config.user,
        "AttachStdin": config.attach_stdin,
        "AttachStdout": config.attach_stdout,
        "AttachStderr": config.attach_stderr,
        "Tty": config.tty,
        "OpenStdin": config.open_stdin,
        "StdinOnce": config.stdin_once,
        "Env": config.env,
        "Cmd": config.cmd,
        "Image": config.image,
        "WorkingDir": config.working_dir,
        "Entrypoint": config.entrypoint,
        "Labels": config.labels,
    });
    if !config.volumes.is_empty() {
        value["Volumes"] = set(&config.volumes);
    }
    if !config.exposed_ports.is_empty() {
        value["ExposedPorts"] = set(&config.exposed_ports);
    }
    if let Some(check) = &config.healthcheck {
        value["Healthcheck"] = json!(check);
    }
    if let Some(signal) = &config.stop_signal {
        value["StopSignal"] = json!(signal);
    }
    value
}
