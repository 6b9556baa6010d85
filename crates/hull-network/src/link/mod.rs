//! Bridges and the taps on them.

mod filter;
mod tap;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use hull_netlink::{Change, Cidr, LinkKind, Mac, Protocol, Socket};
use thiserror::Error;

use crate::namespace::Namespace;
use crate::protocol::{Endpoint, Segment};

/// Returns a tap that leads nowhere, in a network namespace that lives as long as it does: for a
/// machine that gets another one later. `program` is as for [`Namespace::open`]. Blocks for some
/// milliseconds.
///
/// # Errors
/// The host has no `/dev/net/tun`, or does not let the user have namespaces.
pub fn spare_tap(program: &Path, home: &Path) -> io::Result<OwnedFd> {
    let mut namespace = Namespace::open(program, home, None).map_err(io::Error::other)?;
    let tun = namespace.tun()?;
    tap::name(&tun, "spare")?;
    Ok(tun)
}

/// Makes bridges and taps in one namespace.
#[derive(Debug)]
pub(crate) struct Links {
    socket: Socket,
}

impl Links {
    pub(crate) fn new(namespace: &mut Namespace) -> io::Result<Self> {
        Ok(Self { socket: namespace.netlink(Protocol::Route)? })
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

    /// Makes a tap for an endpoint of `container` on its network's bridge, which is there. It is gone when all who
    /// have the descriptor have closed it.
    pub(crate) fn tap(
        &mut self,
        namespace: &mut Namespace,
        container: &str,
        endpoint: &Endpoint,
    ) -> Result<OwnedFd, TapError> {
        let bridge = self.socket.link(&bridge_name(&endpoint.network))?;
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let bridge = bridge.ok_or_else(missing)?.index;
        let name = tap_name(container, &endpoint.network);
        let tap = namespace.tun().map_err(TapError::Tun)?;
        tap::name(&tap, &name)?;
        let link = self.socket.link(&name)?.ok_or_else(missing)?;
        // Before it is a port of the bridge: nothing passes unseen.
        filter::attach(&mut self.socket, link.index, &filter::program(endpoint))?;
        self.plug(link.index, bridge, &endpoint.network)?;
        Ok(tap)
    }

    /// Has the tap of an endpoint of `container`, which a service before this one has made, on its
    /// network's bridge, which is there.
    pub(crate) fn replug(&mut self, container: &str, segment: &Segment) -> io::Result<()> {
        let bridge = self.socket.link(&bridge_name(segment))?;
        let tap = self.socket.link(&tap_name(container, segment))?;
        match (bridge, tap) {
            (Some(bridge), Some(tap)) if tap.master != Some(bridge.index) => {
                self.plug(tap.index, bridge.index, segment)
            }
            _ => Ok(()),
        }
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

    /// Takes the tap of an endpoint off its bridge.
    pub(crate) fn unplug(&mut self, container: &str, segment: &Segment) -> io::Result<()> {
        match self.socket.link(&tap_name(container, segment))? {
            Some(link) => {
                let change = Change { up: Some(false), master: Some(0), ..Change::default() };
                self.socket.change_link(link.index, change)
            }
            None => Ok(()),
        }
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

fn tap_name(container: &str, segment: &Segment) -> String {
    format!("t{}{}", first(container, 8), first(&segment.id, 6))
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
