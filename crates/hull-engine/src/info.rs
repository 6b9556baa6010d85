//! What this engine is and has.

use std::path::PathBuf;

use crate::{Engine, Result, error::Error};

/// Version of Hull and of what it uses.
#[derive(Clone, Debug)]
pub struct Version {
    /// Of Hull, for example `0.1.0`.
    pub hull: &'static str,
    /// Of the host's kernel (`uname -r`).
    pub host_kernel: String,
    /// Version of the virtual machine monitor, if there is one.
    pub qemu: Option<String>,
    /// Docker's name of the host's architecture, for example `amd64`.
    pub architecture: &'static str,
    /// For example `linux`.
    pub os: &'static str,
}

/// What `docker info` asks for.
#[derive(Clone, Debug)]
pub struct Info {
    /// Stable name of this engine, a UUID kept in its state directory.
    pub id: String,
    pub root: PathBuf,
    pub containers: usize,
    pub running: usize,
    pub paused: usize,
    pub stopped: usize,
    pub images: usize,
    pub host_name: String,
    /// `PRETTY_NAME` of the host's os-release.
    pub operating_system: String,
    pub cpus: usize,
    /// Bytes of memory that the host has.
    pub memory: u64,
    /// Accelerator that machines use: `kvm`, `hvf` or `tcg`; `None` when it cannot be told.
    pub accelerator: Option<String>,
    pub version: Version,
}

impl Engine {
    /// Describes the engine and its host.
    ///
    /// # Errors
    /// The state directory cannot be read.
    pub async fn info(&self) -> Result<Info> {
        Err(Error::not_yet("info"))
    }

    /// Versions of Hull and of what it uses.
    pub async fn version(&self) -> Version {
        Version {
            hull: env!("CARGO_PKG_VERSION"),
            host_kernel: String::new(),
            qemu: None,
            architecture: "amd64",
            os: std::env::consts::OS,
        }
    }
}
