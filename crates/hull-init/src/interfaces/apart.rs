//! Containers that have no networks, in a machine that has an interface ready for those that have: in
//! a network namespace of their own, with nothing but a loopback interface.
//!
//! It is the interface that stays where it is: to move one to another namespace the kernel waits for
//! all that might still look at it, which takes longer than a start.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_netlink::Change;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketType};

use super::{Interfaces, Wanted, failed, find, open, until_free};
use crate::failure::{Context, Result};
use crate::sys;

/// The namespace of such containers.
#[derive(Debug)]
pub(super) struct Apart {
    /// Where devices appear.
    devices: OwnedFd,
    namespace: OwnedFd,
    has_entered: bool,
}

impl Apart {
    /// Makes the namespace.
    pub(super) fn make() -> Result<Self> {
        let devices = current()?;
        sys::unshare(libc::CLONE_NEWNET).context(|| "make a network namespace".into())?;
        let made = current().and_then(|namespace| {
            let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None);
            let up = socket.and_then(|socket| sys::interface_up(socket.as_fd(), "lo"));
            up.context(|| "set lo up".into())?;
            Ok(namespace)
        });
        enter(&devices)?;
        Ok(Self { devices, namespace: made?, has_entered: false })
    }

    /// Goes there: so do all processes that are forked from now on.
    pub(super) fn enter(&mut self) -> Result<()> {
        enter(&self.namespace)?;
        self.has_entered = true;
        Ok(())
    }

    /// Returns the namespace, if the agent is there.
    pub(super) fn entered(&self) -> Option<BorrowedFd<'_>> {
        self.has_entered.then(|| self.namespace.as_fd())
    }
}

impl Interfaces {
    /// Calls `work` in the network namespace in which devices appear.
    pub(super) fn where_devices_appear<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        match &self.apart {
            Some(apart) if apart.has_entered => {
                enter(&apart.devices)?;
                let worked = work();
                enter(&apart.namespace)?;
                Ok(worked)
            }
            _ => Ok(work()),
        }
    }

    /// Brings the device of an interface to the containers, if it is there and they are not.
    pub(super) fn fetch(&self, wanted: &Wanted) -> Result<()> {
        let Some(namespace) = self.isolation() else { return Ok(()) };
        let mut socket = self.where_devices_appear(open)??;
        let Some(link) = find(&mut socket, wanted.mac)? else { return Ok(()) };
        let change =
            Change { name: Some(&wanted.name), namespace: Some(namespace), ..Change::default() };
        until_free(&wanted.name, || socket.change_link(link.index, change))
            .map_err(|error| failed("bring an interface to its container", &error))
    }
}

fn enter(namespace: &OwnedFd) -> Result<()> {
    sys::setns(namespace.as_fd(), libc::CLONE_NEWNET)
        .context(|| "change the network namespace".into())
}

/// Opens the network namespace that the agent is in.
fn current() -> Result<OwnedFd> {
    rustix::fs::open("/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .context(|| "open the agent's network namespace".into())
}
