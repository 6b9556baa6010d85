//! The configuration blob of an image.
//!
//! See the OCI image specification, `config.md`. Producers write `null` where they mean "nothing",
//! so every field takes it.

use std::collections::BTreeMap;

use hull_registry::{Digest, Platform};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The configuration of an image: the JSON object whose digest is the image ID.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ImageConfig {
    /// CPU architecture in Go's words, as `amd64`.
    #[serde(deserialize_with = "nullable")]
    pub architecture: String,
    /// Who made the image.
    #[serde(deserialize_with = "nullable")]
    pub author: String,
    /// Docker's note on how the image came to be.
    #[serde(deserialize_with = "nullable")]
    pub comment: String,
    /// What containers of this image start with.
    #[serde(deserialize_with = "nullable")]
    pub config: RunConfig,
    /// When the image was made, RFC 3339.
    pub created: Option<String>,
    /// Version of the Docker that made the image.
    #[serde(deserialize_with = "nullable")]
    pub docker_version: String,
    /// How each layer came to be.
    #[serde(deserialize_with = "nullable")]
    pub history: Vec<History>,
    /// Operating system in Go's words, as `linux`.
    #[serde(deserialize_with = "nullable")]
    pub os: String,
    /// Version of the operating system; Windows images have it.
    #[serde(rename = "os.version", deserialize_with = "nullable")]
    pub os_version: String,
    /// The layers by the digests of their uncompressed tars.
    #[serde(deserialize_with = "nullable")]
    pub rootfs: RootFs,
    /// Variant of the CPU, as `v7`.
    #[serde(deserialize_with = "nullable")]
    pub variant: String,
}

impl ImageConfig {
    /// The platform the image is for, normalised.
    pub fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, &self.variant)
    }
}

/// What containers of an image start with, unless told otherwise.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RunConfig {
    /// Windows: the command line is already escaped.
    #[serde(deserialize_with = "nullable")]
    pub args_escaped: bool,
    /// Arguments, or the command when there is no entry point. `None` and empty differ.
    pub cmd: Option<Vec<String>>,
    /// The command.
    pub entrypoint: Option<Vec<String>>,
    /// Environment, `NAME=value` each.
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// Ports the image says it listens on, as `80/tcp`.
    #[serde(deserialize_with = "keys")]
    pub exposed_ports: Vec<String>,
    /// How to tell whether the container is well.
    pub healthcheck: Option<Healthcheck>,
    /// Labels. `None` and empty differ where they are shown.
    pub labels: Option<BTreeMap<String, String>>,
    /// Instructions for builds from this image.
    #[serde(deserialize_with = "nullable")]
    pub on_build: Vec<String>,
    /// Shell of the shell form of commands.
    pub shell: Option<Vec<String>>,
    /// Signal that asks the container to stop, by name or number.
    #[serde(deserialize_with = "nullable")]
    pub stop_signal: String,
    /// User and group, `user[:group]`, by name or number; empty is root.
    #[serde(deserialize_with = "nullable")]
    pub user: String,
    /// Directories that become anonymous volumes.
    #[serde(deserialize_with = "keys")]
    pub volumes: Vec<String>,
    /// Working directory; empty is `/`.
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
}

/// Docker's health check. Durations are in nanoseconds; 0 means "the default".
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", command]`; empty inherits.
    #[serde(deserialize_with = "nullable")]
    pub test: Vec<String>,
    /// Time between checks.
    #[serde(deserialize_with = "nullable")]
    pub interval: i64,
    /// Time one check may take.
    #[serde(deserialize_with = "nullable")]
    pub timeout: i64,
    /// Time after the start in which failures do not count.
    #[serde(deserialize_with = "nullable")]
    pub start_period: i64,
    /// Time between checks in the start period.
    #[serde(deserialize_with = "nullable")]
    pub start_interval: i64,
    /// Failures in a row that make the container unhealthy.
    #[serde(deserialize_with = "nullable")]
    pub retries: i64,
}

/// One step of a build.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct History {
    /// Who.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// Note.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// When, RFC 3339.
    pub created: Option<String>,
    /// By which command.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Whether the step made no layer.
    #[serde(deserialize_with = "nullable")]
    pub empty_layer: bool,
}

/// The layers of an image.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Digests of the uncompressed tars, lowest first.
    #[serde(deserialize_with = "nullable")]
    pub diff_ids: Vec<Digest>,
}

/// `null` is the default value.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The keys of `{"key": {}}`: how the specification writes sets.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let map: Option<BTreeMap<String, Value>> = Option::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_nulls_everywhere() {
        let config: ImageConfig = serde_json::from_str(
            r#"{"architecture":"amd64","os":"linux","created":null,"author":null,"history":null,
                "config":{"Cmd":null,"Entrypoint":null,"Env":null,"ExposedPorts":null,"Labels":null,
                "OnBuild":null,"User":null,"Volumes":null,"WorkingDir":null,"Healthcheck":null,
                "StopSignal":null,"Shell":null,"ArgsEscaped":null},
                "rootfs":{"type":"layers","diff_ids":null},"unknown":{"x":1}}"#,
        )
        .unwrap();
        assert_eq!(config.config, RunConfig::default());
        assert!(config.rootfs.diff_ids.is_empty());
        let absent: ImageConfig = serde_json::from_str(r#"{"config":null,"rootfs":null}"#).unwrap();
        assert_eq!(absent, ImageConfig::default());
    }

    #[test]
    fn reads_what_docker_writes() {
        let config: ImageConfig = serde_json::from_str(
            r#"{"config":{"Cmd":[],"Entrypoint":["/bin/sh","-c"],"Env":["A=b=c"],
                "ExposedPorts":{"80/tcp":{},"53/udp":{}},"Volumes":{"/data":{}},"User":"1:2",
                "Healthcheck":{"Test":["CMD","true"],"Interval":30000000000}}}"#,
        )
        .unwrap();
        let run = config.config;
        assert_eq!(run.cmd, Some(vec![]));
        assert_eq!(run.exposed_ports, ["53/udp", "80/tcp"]);
        assert_eq!(run.volumes, ["/data"]);
        assert_eq!(run.healthcheck.unwrap().interval, 30_000_000_000);
    }
}
