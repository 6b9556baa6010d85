//! Containers and images under one roof: life cycle, state on disk, recovery.
//!
//! [`Engine`] is the whole of Hull as a library: it needs no daemon and no command line. It never
//! touches the terminal, the environment or the home directory; [`Settings`] says where things are.
//!
//! Every container lives in a directory of its own and is run by a supervisor process that outlives
//! the engine. The engine may be killed at any instruction: [`Engine::open`] finds everything again.
#![deny(unsafe_code)]

mod archive;
mod container;
pub mod doctor;
mod durable;
mod engine;
mod error;
mod events;
mod filters;
mod host;
pub mod image;
mod info;
mod isolation;
mod kernel;
mod layout;
mod metrics;
mod network;
mod pool;
mod random;
mod recovery;
mod settings;
mod template;
#[cfg(test)]
mod tests;
mod volume;

pub use container::attach::{AttachOptions, Attached, Channel, Chunk, Input, Output};
pub use container::changes::{Change, ChangeKind};
pub use container::checkpoint::CheckpointOptions;
pub use container::copy::{CopyInOptions, FileStream, PathStat};
pub use container::create::{CreateOptions, Created};
pub use container::exec::{ExecConfig, ExecInspect, ExecStartOptions};
pub use container::fork::ForkOptions;
pub use container::inspect::{Inspect, Mount};
pub use container::list::{ListOptions, Summary};
pub use container::logs::{LogEntry, LogOptions, LogStream};
pub use container::remove::RemoveOptions;
pub use container::state::{State, Status, Timing};
pub use container::stop::StopOptions;
pub use container::top::Top;
pub use container::update::Update;
pub use container::wait::{WaitCondition, WaitStatus, Waiter};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, EventKind, EventOptions, EventStream};
pub use filters::Filters;
pub use hull_network::ipam::is_link_local;
pub use hull_network::model::boolean;
pub use hull_plan::{
    BlkioRates, ContainerConfig, EndpointConfig, Healthcheck, HostConfig, ImageConfig, Link,
    LogConfig, MountConfig, MountKind, MountPoint, PortBinding, RestartMode, RestartPolicy, Ulimit,
    masked_paths, readonly_paths,
};
pub use hull_supervisor::health::{Health, HealthStatus};
pub use hull_supervisor::{Mode, Origin};
pub use info::{Info, Version};
pub use kernel::KernelInfo;
pub use network::{
    ContainerEndpoint, CreateNetwork, NetworkConfig, NetworkContainer, NetworkDriver, NetworkInfo,
    PublishedPort, Subnet, SubnetConfig,
};
pub use settings::{PoolSettings, Settings, TemplateSettings};
pub use template::{PrunedTemplates, TemplateInfo, TemplateShape, TemplateState};
pub use volume::{CreateVolume, PrunedVolumes, Volume};
