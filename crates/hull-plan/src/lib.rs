//! Plans containers: Docker-like configuration and an image's configuration to an OCI runtime
//! specification, the size of the virtual machine, and the files that Hull manages.
//!
//! Pure: nothing here reads a file, the environment or a clock.
#![deny(unsafe_code)]

mod config;
mod error;
mod plan;

pub use config::{ContainerConfig, HostConfig, ImageConfig, Ulimit};
pub use error::Error;
pub use plan::{Host, Plan, VmSize, merge_image, plan, validate};
