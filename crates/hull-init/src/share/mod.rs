//! Directories of the host: file systems whose requests go to the host through a port.
//!
//! The kernel's FUSE speaks with a process of the agent's own (see `relay`), because whoever uses
//! such a file system waits for it: the agent itself may, and has one thread.

mod notifier;
mod relay;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use hull_protocol::{SHARE_PORT_NAME, SOCKETS_DIRECTORY, Shared};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};

use crate::channel::open_port;
use crate::container::control;
use crate::container::mounts::clone_tree;
use crate::failure::{Context, Failure, Result};
use crate::setup::{STATE_DIR, make_dir};
use crate::sys::{self, Fork};

/// The process that carries requests, and how it is told of new file systems.
#[derive(Debug)]
pub(crate) struct Shares {
    relay: OwnedFd,
    /// Directories, by their numbers, as the agent has them for sockets.
    directories: BTreeMap<u32, Directory>,
}

#[derive(Debug)]
struct Directory {
    place: Place,
    /// See [`Shares::sockets`].
    sockets: Option<OwnedFd>,
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
            Fork::Parent { .. } => Ok(Self { relay: agent, directories: BTreeMap::new() }),
        }
    }

    /// Returns a mount, attached to nothing, of what the host shares under `number`.
    pub(crate) fn mount(&mut self, number: u32, shared: &Shared) -> Result<OwnedFd> {
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
        if !shared.directory {
            return Ok(mount);
        }
        // The agent has a mount of its own: the container may unmount its one, or not write to it.
        let place = Place::attach(number, mount).context(what)?;
        let mount = clone_tree(place.root.as_fd()).context(what)?;
        self.directories.insert(number, Directory { place, sockets: None });
        Ok(mount)
    }

    /// Returns the directory of a share in which sockets are by the numbers of their files
    /// ([`SOCKETS_DIRECTORY`]).
    pub(crate) fn sockets(&mut self, number: u32) -> Result<BorrowedFd<'_>> {
        let directory = self.directories.get_mut(&number);
        let directory = directory
            .ok_or_else(|| Failure::not_found(format!("share {number} is no directory")))?;
        let sockets = match directory.sockets.take() {
            Some(sockets) => sockets,
            None => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                openat(&directory.place.root, SOCKETS_DIRECTORY, flags, Mode::empty())
                    .context(|| format!("open the sockets of share {number}"))?
            }
        };
        let sockets: &OwnedFd = directory.sockets.insert(sockets);
        Ok(sockets.as_fd())
    }

    /// Gives all directories up.
    pub(crate) fn let_go(&mut self) {
        self.directories.clear();
    }
}

/// Where a share is mounted for the agent alone. Only what is mounted somewhere can be cloned.
#[derive(Debug)]
struct Place {
    root: OwnedFd,
    path: String,
}

impl Place {
    fn attach(number: u32, mount: OwnedFd) -> rustix::io::Result<Self> {
        let all = format!("{STATE_DIR}/.shares");
        let path = format!("{all}/{number}");
        make_dir(&all)?;
        make_dir(&path)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&mount, "", CWD, path.as_str(), flags)?;
        Ok(Self { root: mount, path })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // It is nobody's any more, whether that works or not.
        let _ = unmount(self.path.as_str(), UnmountFlags::DETACH);
    }
}
