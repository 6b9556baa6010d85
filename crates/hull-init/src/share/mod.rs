//! Directories of the host: file systems whose requests go to the host through a port.
//!
//! The kernel's FUSE speaks with a process of the agent's own (see `relay`), because whoever uses
//! such a file system waits for it: the agent itself may, and has one thread.

mod notifier;
mod relay;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use hull_protocol::{SHARE_PORT_NAME, Shared};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use crate::channel::open_port;
use crate::container::control;
use crate::failure::{Context, Failure, Result};
use crate::sys::{self, Fork};

/// The process that carries requests, and how it is told of new file systems.
#[derive(Debug)]
pub(crate) struct Shares {
    relay: OwnedFd,
}

impl Shares {
    /// Starts the relay.
    ///
    /// # Errors
    /// If the machine has no port for it, among others.
    pub(crate) fn start() -> Result<Self> {
        let port = open_port(SHARE_PORT_NAME).context(|| "open the port for shares".into())?;
        let port = port.ok_or_else(|| Failure::failed("the machine has no port for shares"))?;
        let (agent, relay) = control::pair().context(|| "socketpair".into())?;
        match sys::clone3(0, None).context(|| "clone".into())? {
            Fork::Child => relay::run(&port, &relay),
            Fork::Parent { .. } => Ok(Self { relay: agent }),
        }
    }

    /// Returns a mount, attached to nothing, of what the host shares under `number`.
    pub(crate) fn mount(&self, number: u32, shared: &Shared) -> Result<OwnedFd> {
        let what = || format!("mount share {number}");
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let device = rustix::fs::open("/dev/fuse", flags, Mode::empty()).context(what)?;
        let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC).context(what)?;
        let root = if shared.directory { "40000" } else { "100000" };
        let settings = BTreeMap::from([
            ("source", "hull"),
            ("rootmode", root),
            ("user_id", "0"),
            ("group_id", "0"),
        ]);
        for (key, value) in settings {
            fsconfig_set_string(&context, key, value).context(what)?;
        }
        let device_number = device.as_raw_fd().to_string();
        fsconfig_set_string(&context, "fd", device_number.as_str()).context(what)?;
        for flag in ["default_permissions", "allow_other"] {
            fsconfig_set_flag(&context, flag).context(what)?;
        }
        fsconfig_create(&context).context(what)?;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
            .context(what)?;
        control::hand(&self.relay, &number.to_le_bytes(), &[], &[device.as_fd()]).context(what)?;
        Ok(mount)
    }
}
