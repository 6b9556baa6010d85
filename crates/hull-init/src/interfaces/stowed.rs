//! Interfaces that are in no container's network yet: in a network namespace where nobody looks.

use std::os::fd::{AsFd, OwnedFd};

use hull_netlink::{Change, Mac, Protocol, Socket};
use rustix::fs::{Mode, OFlags};

use super::{failed, find, until_free};
use crate::failure::{Context, Failure, Result};
use crate::sys;

/// The namespace for them. An interface that moves there and back has forgotten its addresses and
/// routes.
#[derive(Debug)]
pub(super) struct Stowed {
    /// Where containers are.
    home: OwnedFd,
    namespace: OwnedFd,
    /// In `namespace`.
    socket: Socket,
}

impl Stowed {
    /// Makes a namespace without interfaces.
    pub(super) fn new() -> Result<Self> {
        let home = current()?;
        sys::unshare(libc::CLONE_NEWNET).context(|| "make a network namespace".into())?;
        let made = current().and_then(|namespace| {
            let socket = Socket::open(Protocol::Route);
            Ok((namespace, socket.map_err(|error| failed("open a netlink socket", &error))?))
        });
        sys::setns(home.as_fd(), libc::CLONE_NEWNET)
            .context(|| "leave a network namespace".into())?;
        let (namespace, socket) = made?;
        Ok(Self { home, namespace, socket })
    }

    /// Takes the interface with the hardware address `mac` away from containers.
    pub(super) fn put(&mut self, mac: Mac) -> Result<()> {
        let what = |error| failed("stow an interface", &error);
        let mut socket = Socket::open(Protocol::Route).map_err(what)?;
        let index = index(&mut socket, mac)?;
        let change = Change {
            up: Some(false),
            namespace: Some(self.namespace.as_fd()),
            ..Change::default()
        };
        socket.change_link(index, change).map_err(what)
    }

    /// Gives the interface with the hardware address `from` to containers, as `name` and with the
    /// hardware address `mac`.
    pub(super) fn take(&mut self, from: Mac, name: &str, mac: Mac) -> Result<()> {
        let index = index(&mut self.socket, from)?;
        let change = Change {
            name: Some(name),
            mac: Some(mac).filter(|mac| *mac != from),
            namespace: Some(self.home.as_fd()),
            ..Change::default()
        };
        until_free(name, || self.socket.change_link(index, change))
            .map_err(|error| failed("take an interface that was stowed", &error))
    }
}

/// Returns the index of the interface with the hardware address `mac`, which must be there.
fn index(socket: &mut Socket, mac: Mac) -> Result<u32> {
    let link = find(socket, mac)?;
    let missing = || Failure::not_found(format!("no interface has address {mac}"));
    link.map(|link| link.index).ok_or_else(missing)
}

/// Opens the network namespace that the agent is in.
fn current() -> Result<OwnedFd> {
    rustix::fs::open("/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .context(|| "open the agent's network namespace".into())
}
