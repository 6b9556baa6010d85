//! From configuration to plan.

use std::collections::BTreeMap;

use hull_seccomp::{Arch, SockFilter};
use hull_spec::Spec;

use crate::{ContainerConfig, Error, ImageConfig};

/// Facts of the host that a plan depends on.
#[derive(Clone, Debug)]
pub struct Host {
    pub arch: Arch,
    /// CPUs of the host; asking for more than these is an error, as in Docker.
    pub cpus: u32,
    /// Domain name servers, search domains and options for `/etc/resolv.conf` when none are given.
    pub resolv_conf: String,
}

/// Everything that starting a container needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    pub spec: Spec,
    /// `spec.linux.seccomp` compiled; `None`: unconfined.
    pub seccomp: Option<Vec<SockFilter>>,
    /// For `hull_protocol::Create::user`; `None`: root.
    pub user: Option<String>,
    /// For `hull_protocol::Create::groups`.
    pub groups: Vec<String>,
    /// For `hull_protocol::Create::files`: `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`.
    pub files: BTreeMap<String, String>,
    /// For `hull_protocol::Create::volumes`.
    pub volumes: Vec<String>,
    pub init: bool,
    pub vm: VmSize,
    /// Signal number that asks the container to end.
    pub stop_signal: i32,
    /// Effective path and arguments as `docker inspect` shows them.
    pub path: String,
    pub args: Vec<String>,
}

/// Size of a virtual machine.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct VmSize {
    pub vcpus: u32,
    /// MiB of memory of the machine: the container's limit and what the guest itself needs.
    pub memory_mib: u32,
}

/// Checks everything about `config` that can be checked without its image, in Docker's words.
/// The daemon calls it when a container is created.
pub fn validate(config: &ContainerConfig, host: &Host) -> Result<(), Error> {
    let _ = (config, host);
    Ok(())
}

/// Fills what `config` leaves open from its image, as Docker does when it creates a container.
/// The result is what `inspect` shows.
pub fn merge_image(config: &mut ContainerConfig, image: &ImageConfig) -> Result<(), Error> {
    let _ = (config, image);
    Ok(())
}

/// Plans the container `id` (64 hexadecimal digits) from a validated and merged configuration.
pub fn plan(id: &str, config: &ContainerConfig, host: &Host) -> Result<Plan, Error> {
    let _ = (id, config, host);
    Err(Error::NoCommand)
}
