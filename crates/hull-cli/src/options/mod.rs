//! Values of flags that are more than a text or a number.

mod attach;
mod container;
mod cpus;
mod duration;
mod env;
mod files;
mod filter;
mod health;
mod labels;
mod memory;
mod mounts;
mod pairs;
mod resources;
mod restart;
mod sparse;
mod surroundings;
mod sysctl;
mod ulimit;
mod volumes;

pub(crate) use attach::Attach;
pub(crate) use container::ContainerOptions;
pub(crate) use cpus::Cpus;
pub(crate) use env::Env;
pub(crate) use files::{read_env_file, read_label_file};
pub(crate) use filter::Filter;
pub(crate) use labels::Labels;
pub(crate) use memory::{Memory, MemorySwap};
pub(crate) use mounts::Mounts;
pub(crate) use pairs::Options;
pub(crate) use resources::Limits;
pub(crate) use restart::restart_policy;
pub(crate) use sparse::Sparse;
pub(crate) use sysctl::Sysctls;
pub(crate) use ulimit::Ulimits;
pub(crate) use volumes::Volumes;
