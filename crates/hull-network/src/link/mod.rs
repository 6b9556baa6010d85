//! Bridges and the taps on them.

mod closer;
mod filter;
mod tap;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use hull_netlink::{Change, Cidr, Link, LinkKind, Mac, Protocol, Socket};
use thiserror::Error;

use self::closer::Closer;

use crate::namespace::Namespace;
use crate::protocol::{Endpoint, Segment};

/// Returns a tap that leads nowhere, or to the kernel, which has the address `gateway` at its other
/// end, in a network namespace that lives as long as it does: for a machine that gets another one
/// later. `program` is as for [`Namespace::open`]. Blocks for some milliseconds.
///
/// # Errors
/// The host has no `/dev/net/tun`, or does not let the user have namespaces.
pub fn spare_tap(program: &Path, home: &Path, gateway: Option<Cidr>) -> io::Result<OwnedFd> {
    let mut namespace = Namespace::open(program, home, None).map_err(io::Error::other)?;
    let tun = namespace.tun()?;
    let name = tap::name(&tun, "spare")?;
    if let Some(gateway) = gateway {
        let mut socket = namespace.netlink(Protocol::Route)?;
        let link = socket.link(&name)?.ok_or(io::ErrorKind::NotFound)?;
        socket.add_address(link.index, gateway)?;
        socket.change_link(link.index, Change { up: Some(true), ..Change::default() })?;
    }
    Ok(tun)
}

/// Makes bridges and taps in one namespace.
#[derive(Debug)]
pub(crate) struct Links {
    socket: Socket,
    closer: Closer,
}

/// A tap on a bridge.
#[derive(Debug)]
pub(crate) struct Tap {
    fd: OwnedFd,
    index: u32,
}

impl Tap {
    /// Returns its descriptor for a machine.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }
}

impl Links {
    pub(crate) fn new(namespace: &mut Namespace) -> io::Result<Self> {
        Ok(Self { socket: namespace.netlink(Protocol::Route)?, closer: Closer::start()? })
    }

    /// Makes the bridge of a network, unless it is there.
    pub(crate) fn bridge(
        &mut self,
        namespace: &mut Namespace,
        segment: &Segment,
    ) -> io::Result<u32> {
        let name = bridge_name(segment);
        let index = match self.socket.link(&name)? {
            Some(link) => link.index,
            None => self.socket.add_link(&name, LinkKind::Bridge, gateway_mac(segment))?,
        };
        if segment.gateways.iter().any(|gateway| gateway.address.is_ipv6()) {
            namespace.sysctl(&format!("ipv6/conf/{name}/disable_ipv6"), "0")?;
        }
        for gateway in &segment.gateways {
            self.socket.add_address(index, *gateway)?;
        }
        let change = Change { up: Some(true), mtu: Some(segment.mtu), ..Change::default() };
        self.socket.change_link(index, change)?;
        Ok(index)
    }

    /// Removes bridges that are not those of `known` and that no interface is plugged into. Returns
    /// whether there are others that are not of `known`: a service before this one has made them, and
    /// their containers have not come back yet.
    pub(crate) fn sweep<'a>(
        &mut self,
        known: impl IntoIterator<Item = &'a Segment>,
    ) -> io::Result<bool> {
        let known: Vec<String> = known.into_iter().map(bridge_name).collect();
        let all = self.socket.links()?;
        let mut others = false;
        for bridge in all.iter().filter(|link| link.is_bridge && !known.contains(&link.name)) {
            if all.iter().any(|link| link.master == Some(bridge.index)) {
                others = true;
            } else {
                self.socket.remove_link(bridge.index)?;
            }
        }
        Ok(others)
    }

    /// Makes a tap for an endpoint of `container` on its network's bridge, which is there. It is gone
    /// when all who have the descriptor have closed it.
    pub(crate) fn tap(
        &mut self,
        namespace: &mut Namespace,
        container: &str,
        endpoint: &Endpoint,
    ) -> Result<Tap, TapError> {
        let bridge = self.socket.link(&bridge_name(&endpoint.network))?;
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let bridge = bridge.ok_or_else(missing)?.index;
        let fd = namespace.tun().map_err(TapError::Tun)?;
        // The one that the container had before may not be gone yet.
        let name = tap::name(&fd, &format!("t{}-%d", first(container, 8)))?;
        let index = self.socket.link(&name)?.ok_or_else(missing)?.index;
        // Before it is a port of the bridge: nothing passes unseen.
        filter::attach(&mut self.socket, index, &filter::program(endpoint))?;
        // By it a service that has not made the tap finds it.
        let alias = tap_alias(container, &endpoint.network);
        let noted = Change { alias: Some(&alias), ..Change::default() };
        self.socket.change_link(index, noted)?;
        self.plug(index, bridge, &endpoint.network)?;
        Ok(Tap { fd, index })
    }

    /// Has the tap of an endpoint of `container`, which a service before this one has made, on its
    /// network's bridge, which is there.
    pub(crate) fn replug(&mut self, container: &str, segment: &Segment) -> io::Result<()> {
        let Some(bridge) = self.socket.link(&bridge_name(segment))? else { return Ok(()) };
        for tap in self.others(container, segment)? {
            if tap.master != Some(bridge.index) {
                self.plug(tap.index, bridge.index, segment)?;
            }
        }
        Ok(())
    }

    /// Returns the taps of an endpoint of `container` that a service before this one has made.
    fn others(&mut self, container: &str, segment: &Segment) -> io::Result<Vec<Link>> {
        let alias = tap_alias(container, segment);
        let mut links = self.socket.links()?;
        links.retain(|link| link.alias.as_ref() == Some(&alias));
        Ok(links)
    }

    fn plug(&mut self, tap: u32, bridge: u32, segment: &Segment) -> io::Result<()> {
        let change = Change {
            up: Some(!segment.isolated),
            mtu: Some(segment.mtu),
            master: Some(bridge),
            ..Change::default()
        };
        self.socket.change_link(tap, change)?;
        if segment.isolated {
            // Up when it is isolated: nothing passes before.
            let change = Change { up: Some(true), isolated: Some(true), ..Change::default() };
            self.socket.change_link(tap, change)?;
        }
        Ok(())
    }

    /// Takes the tap of an endpoint off its bridge. One that is not known was made by the service
    /// before this one.
    pub(crate) fn unplug(
        &mut self,
        tap: Option<Tap>,
        container: &str,
        segment: &Segment,
    ) -> io::Result<()> {
        let change = Change { up: Some(false), master: Some(0), ..Change::default() };
        let Some(tap) = tap else {
            let mut others = self.others(container, segment)?.into_iter();
            return others.try_for_each(|tap| self.socket.change_link(tap.index, change));
        };
        let unplugged = self.socket.change_link(tap.index, change);
        self.closer.close(tap.fd);
        unplugged
    }
}

/// Why there is no tap.
#[derive(Debug, Error)]
pub(crate) enum TapError {
    #[error("cannot make an interface in the network namespace")]
    Link(#[from] io::Error),
    #[error("cannot open /dev/net/tun")]
    Tun(#[source] io::Error),
}

/// Returns the name of a network's bridge in the namespace.
pub(crate) fn bridge_name(segment: &Segment) -> String {
    match segment.bridge.as_str() {
        "" => format!("b{}", first(&segment.id, 12)),
        name => name.to_owned(),
    }
}

/// What is noted of a tap: whose it is, for a service that has not made it.
fn tap_alias(container: &str, segment: &Segment) -> String {
    format!("{container} {}", segment.id)
}

/// Made from the gateway's address, so that neighbours need not ask again for another bridge.
fn gateway_mac(segment: &Segment) -> Mac {
    let v4 = segment.gateways.iter().find_map(|gateway| match gateway {
        Cidr { address: std::net::IpAddr::V4(address), .. } => Some(address.octets()),
        Cidr { .. } => None,
    });
    match v4 {
        Some([a, b, c, d]) => Mac([0x02, 0x42, a, b, c, d]),
        None => {
            let digits = u32::from_str_radix(first(&segment.id, 8), 16).unwrap_or_default();
            let [a, b, c, d] = digits.to_be_bytes();
            Mac([0x02, 0x43, a, b, c, d])
        }
    }
}

fn first(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}
