//! All about one container.

use std::path::PathBuf;

use hull_plan::ContainerConfig;
use jiff::Timestamp;

use super::state::{State, Timing};
use crate::{Engine, Result, error::Error};

/// All about one container.
#[derive(Clone, Debug)]
pub struct Inspect {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without a slash.
    pub name: String,
    pub created: Timestamp,
    /// Program as asked for, before the image's files are looked at.
    pub path: String,
    pub args: Vec<String>,
    pub state: State,
    /// Image id, `sha256:<hex>`.
    pub image: String,
    /// Docker's `Platform`: the operating system of the image.
    pub os: String,
    /// For example `amd64`, or `arm64/v8` with a variant.
    pub architecture: String,
    /// Effective: merged with what the image says.
    pub config: ContainerConfig,
    pub mounts: Vec<Mount>,
    /// Ids of execs that run.
    pub execs: Vec<String>,
    pub log_path: PathBuf,
    pub restart_count: u64,
    /// Bytes, if asked for.
    pub size_rw: Option<u64>,
    /// Bytes, if asked for.
    pub size_root_fs: Option<u64>,
    /// How the machine of the last start came to be.
    pub started: Option<Started>,
    /// Phases of the last start, in order.
    pub timings: Vec<Timing>,
}

/// How a machine came to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Started {
    /// Its kernel booted.
    Cold,
    /// It was forked from a template.
    Fork,
}

impl Started {
    /// `cold` or `fork`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Fork => "fork",
        }
    }
}

/// A mount in a container, the fields of Docker's `Mounts`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    /// `volume` or `tmpfs`.
    pub kind: &'static str,
    /// Name of a volume; empty for all else.
    pub name: String,
    pub source: String,
    pub destination: String,
    pub driver: String,
    pub mode: String,
    pub writable: bool,
    pub propagation: String,
}

impl Engine {
    /// Describes a container; `size` also measures it.
    ///
    /// # Errors
    /// No such container.
    pub async fn inspect(&self, container: &str, size: bool) -> Result<Inspect> {
        let _ = (container, size);
        Err(Error::not_yet("inspect"))
    }
}
