//! Plans containers: Docker-like configuration and an image's configuration to an OCI runtime
//! specification, the size of the virtual machine, and the files that Hull manages.
//!
//! Pure: nothing here reads a file, the environment or a clock. The order of calls is
//! [`validate()`], [`merge_image`] when a container is created, [`plan()`] when it is started.
#![deny(unsafe_code)]

mod capabilities;
mod config;
mod devices;
mod environment;
mod error;
mod files;
mod health;
mod limits;
mod links;
mod logging;
mod merge;
mod mounts;
mod path;
mod plan;
mod restart;
mod security;
mod signal;
mod sockets;
mod storage;
mod sysctl;
mod validate;

pub use config::{
    BlkioRates, ContainerConfig, DeviceMapping, EndpointConfig, HostConfig, ImageConfig,
    PortBinding, Ulimit,
};
pub use environment::overlay as overlay_environment;
pub use error::Error;
pub use files::{NetworkFacts, hostname, network_files, network_lines};
pub use health::Healthcheck;
pub use limits::{
    DEFAULT_CPUS, DEFAULT_MEMORY, DEFAULT_SHM_SIZE, VmSize, discard_unsupported, parse_nano_cpus,
    resources,
};
pub use links::{Link, Linked};
pub use logging::{LogConfig, LogDriver, LogFacts, LogPlan};
pub use merge::merge_image;
pub use plan::{Host, Plan, effective_user, masked_paths, plan, readonly_paths};
pub use restart::{RestartMode, RestartPolicy};
pub use signal::parse_signal;
pub use sockets::{AGENT_SOCKET, PublishedSocket, validate as validate_sockets};
pub use storage::{
    BindOptions, DriverConfig, MountConfig, MountKind, MountPoint, TmpfsOptions, VolumeOptions,
    parse_volumes_from, requested_mounts,
};
pub use sysctl::parse_sysctl;
pub use validate::{validate, validate_update};

/// Type of a mount of the specification whose source is the number of something that the host
/// shares; `hull_protocol::SHARE_TYPE` is the same.
pub const SHARE_TYPE: &str = "hull-share";
