//! `POST /containers/create`: the body.

use std::collections::BTreeMap;

use hull_engine::{ContainerConfig, EndpointConfig, Healthcheck};
use serde_json::Value;

use super::endpoint::endpoint_config;
use super::fields::Fields;
use super::host_config::host_config;
use crate::error::ApiError;

/// Reads a container's configuration.
///
/// # Errors
/// A field of the wrong type, or one that Hull cannot honour.
pub(crate) fn container_config(body: Value) -> Result<ContainerConfig, ApiError> {
    if body.is_null() {
        return Err(ApiError::bad_request("invalid JSON: got EOF while reading request body"));
    }
    let mut fields = Fields::new("", body)?;
    let mut host = host_config(fields.value("HostConfig"))?;
    if fields.take("NetworkDisabled")? {
        host.network_mode = "none".into();
    }
    let config = ContainerConfig {
        image: fields.take("Image")?,
        cmd: words(&mut fields, "Cmd")?,
        entrypoint: words(&mut fields, "Entrypoint")?,
        env: fields.take("Env")?,
        user: fields.take("User")?,
        working_dir: fields.take("WorkingDir")?,
        hostname: fields.take("Hostname")?,
        domainname: fields.take("Domainname")?,
        labels: fields.take("Labels")?,
        tty: fields.take("Tty")?,
        open_stdin: fields.take("OpenStdin")?,
        stdin_once: fields.take("StdinOnce")?,
        attach_stdin: fields.take("AttachStdin")?,
        attach_stdout: fields.take("AttachStdout")?,
        attach_stderr: fields.take("AttachStderr")?,
        stop_signal: fields.take::<Option<String>>("StopSignal")?.filter(|s| !s.is_empty()),
        stop_timeout: fields.take("StopTimeout")?,
        mac_address: fields.take("MacAddress")?,
        networks: endpoints(fields.value("NetworkingConfig"))?,
        volumes: keys(&mut fields, "Volumes")?,
        exposed_ports: keys(&mut fields, "ExposedPorts")?,
        mount_points: Vec::new(),
        platform: None,
        healthcheck: healthcheck(fields.value("Healthcheck"))?,
        linked: Vec::new(),
        host,
    };
    // Set by clients for images built on Windows; means nothing elsewhere.
    fields.value("ArgsEscaped");
    fields.finish()?;
    Ok(config)
}

fn healthcheck(value: Value) -> Result<Option<Healthcheck>, ApiError> {
    if value.is_null() {
        return Ok(None);
    }
    let mut fields = Fields::new("Healthcheck", value)?;
    let check = Healthcheck {
        test: fields.take("Test")?,
        interval: fields.take("Interval")?,
        timeout: fields.take("Timeout")?,
        start_period: fields.take("StartPeriod")?,
        start_interval: fields.take("StartInterval")?,
        retries: fields.take("Retries")?,
    };
    fields.finish()?;
    Ok(Some(check))
}

/// A command line: a list, or one word as a string.
fn words(fields: &mut Fields, name: &str) -> Result<Option<Vec<String>>, ApiError> {
    match fields.value(name) {
        Value::Null => Ok(None),
        Value::String(word) => Ok(Some(vec![word])),
        list => serde_json::from_value(list)
            .map(Some)
            .map_err(|error| ApiError::bad_request(format!("invalid JSON: {name}: {error}"))),
    }
}

/// The keys of Docker's sets: objects with empty objects as values.
fn keys<T: FromIterator<String>>(fields: &mut Fields, name: &str) -> Result<T, ApiError> {
    let map: BTreeMap<String, Value> = fields.take(name)?;
    Ok(map.into_keys().collect())
}

/// The networks, and what is asked for in each.
fn endpoints(value: Value) -> Result<BTreeMap<String, EndpointConfig>, ApiError> {
    let mut fields = Fields::new("NetworkingConfig", value)?;
    let endpoints: BTreeMap<String, Value> = fields.take("EndpointsConfig")?;
    fields.finish()?;
    endpoints
        .into_iter()
        .map(|(network, settings)| Ok((network, endpoint_config(settings)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_docker_run_sends_is_read() {
        let config = container_config(json!({
            "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false,
            "AttachStdout": true, "AttachStderr": true, "Tty": false, "OpenStdin": false,
            "StdinOnce": false, "Env": null, "Cmd": ["echo", "hi"], "Image": "busybox",
            "Volumes": {"/data": {}}, "WorkingDir": "", "Entrypoint": null, "OnBuild": null,
            "Labels": {},
            "HostConfig": {
                "Binds": null, "ContainerIDFile": "", "LogConfig": {"Type": "", "Config": {}},
                "NetworkMode": "none", "PortBindings": {},
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": true,
                "VolumeDriver": "", "VolumesFrom": null, "ConsoleSize": [24, 80], "CapAdd": null,
                "CapDrop": null, "CgroupnsMode": "", "Dns": [], "DnsOptions": [],
                "DnsSearch": [], "ExtraHosts": null, "GroupAdd": null, "IpcMode": "",
                "Cgroup": "", "Links": null, "OomScoreAdj": 0, "PidMode": "",
                "Privileged": false, "PublishAllPorts": false, "ReadonlyRootfs": false,
                "SecurityOpt": null, "UTSMode": "", "UsernsMode": "", "ShmSize": 0,
                "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0,
                "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": [],
                "Devices": [], "DeviceCgroupRules": null, "DeviceRequests": null,
                "MemorySwappiness": -1, "OomKillDisable": false, "PidsLimit": 0,
                "Ulimits": [], "MaskedPaths": null, "ReadonlyPaths": null
            },
            "NetworkingConfig": {"EndpointsConfig": {"none": {
                "IPAMConfig": null, "Links": null, "Aliases": null, "MacAddress": ""
            }}}
        }))
        .unwrap();
        assert_eq!(config.cmd.unwrap(), ["echo", "hi"]);
        assert_eq!(config.entrypoint, None);
        assert!(config.volumes.contains("/data"));
        assert!(config.host.auto_remove);
        assert_eq!(config.host.network_mode, "none");
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        let refused = |body| container_config(body).unwrap_err().to_string();
        let host = |field: &str, value: Value| {
            refused(json!({"Image": "x", "HostConfig": {field: value}}))
        };
        assert!(host("Mounts", json!([{"Future": 1}])).contains("HostConfig.Mounts"));
        assert!(host("DeviceRequests", json!([{"Count": 1}])).contains("HostConfig.DeviceReq"));
        assert!(host("Runtime", json!("runc")).contains("invalid runtime name: runc"));
        assert!(host("RestartPolicy", json!({"Name": "never"})).contains("unknown policy"));
        assert!(host("FutureField", json!(1)).contains("HostConfig.FutureField"));
        assert!(refused(json!({"Healthcheck": {"Pulse": 1}})).contains("Healthcheck.Pulse"));
        let endpoint = json!({"EndpointsConfig": {"mine": {"Pulse": ["a"]}}});
        assert!(refused(json!({"NetworkingConfig": endpoint})).contains("EndpointSettings.Pulse"));
        assert!(refused(json!({"Image": 5})).starts_with("invalid JSON: Image: "));
    }

    #[test]
    fn a_command_may_be_one_word() {
        let config =
            container_config(json!({"Image": "x", "Cmd": "ls", "Entrypoint": []})).unwrap();
        assert_eq!(config.cmd.unwrap(), ["ls"]);
        assert_eq!(config.entrypoint.unwrap(), [""; 0]);
    }
}
