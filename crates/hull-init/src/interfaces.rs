//! Network interfaces: configured over netlink as soon as their device is there.

mod apart;
mod settle;

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use hull_netlink::{Change, Cidr, Link, Mac, Protocol, Route, Socket, Watch};
use hull_protocol::{Interface, Reply};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};

use self::apart::Apart;
use crate::agent::Agent;
use crate::console::phase;
use crate::failure::{Context, Failure, Result, errno_text};
use crate::poller::Token;
use crate::sys;

/// Interfaces that were asked for before their device was there.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    waiting: Vec<(u32, Wanted)>,
    /// Open while somebody waits.
    watch: Option<Watch>,
    apart: Option<Apart>,
}

impl Interfaces {
    /// Has the interface with the hardware address `mac` forget what it was configured with. If
    /// `has_none`, the guest has no container yet, and one may come that must not see it.
    pub(crate) fn stow(&mut self, mac: &str, has_none: bool) -> Result<()> {
        let mac = parse_mac(mac)?;
        let mut socket = open()?;
        let link = find(&mut socket, mac)?;
        let link = link.ok_or_else(|| Failure::not_found(format!("no interface is {mac}")))?;
        forget(&mut socket, &link).map_err(|error| failed("stow an interface", &error))?;
        if has_none && self.apart.is_none() {
            self.apart = Some(Apart::make()?);
        }
        Ok(())
    }

    /// Goes where there are no interfaces.
    fn isolate(&mut self) -> Result<()> {
        let apart = match self.apart.take() {
            Some(apart) => apart,
            None => Apart::make()?,
        };
        self.apart.insert(apart).enter()
    }

    /// Returns the network namespace of containers, if it is not the one that processes were in
    /// before the guest was told who it is.
    fn isolation(&self) -> Option<BorrowedFd<'_>> {
        self.apart.as_ref().and_then(Apart::entered)
    }
}

/// What an interface shall be.
#[derive(Debug)]
struct Wanted {
    mac: Mac,
    name: String,
    mtu: Option<u32>,
    addresses: Vec<Cidr>,
    gateways: Vec<IpAddr>,
}

impl Agent {
    /// Configures an interface now, or when its device appears.
    pub(crate) fn configure_interface(
        &mut self,
        number: u32,
        request: &Interface,
    ) -> Result<Option<Reply>> {
        let wanted = Wanted::parse(request)?;
        if let Some(from) = &request.from {
            let from = parse_mac(from)?;
            return match wanted.configure(from)? {
                true => Ok(Some(Reply::Done)),
                false => Err(Failure::not_found(format!("no interface {from} has been stowed"))),
            };
        }
        // Watched before it is looked for: it cannot appear unseen.
        if self.interfaces.watch.is_none() {
            let watch = self.interfaces.where_devices_appear(Watch::links)?;
            let watch = watch.map_err(|error| failed("watch the interfaces", &error))?;
            self.poller
                .add(&watch, Token::Links, EventFlags::IN)
                .context(|| "watch the interfaces".into())?;
            self.interfaces.watch = Some(watch);
        }
        self.interfaces.waiting.push((number, wanted));
        self.links_changed();
        Ok(None)
    }

    /// Has all containers of the guest where there are no interfaces.
    pub(crate) fn isolate(&mut self) -> Result<()> {
        self.interfaces.isolate()?;
        if let (Some(shells), Some(network)) = (&mut self.shells, self.interfaces.isolation()) {
            let what = |error| Failure::failed(format!("keep a network namespace: {error}"));
            shells.isolate(network.try_clone_to_owned().map_err(what)?);
        }
        Ok(())
    }

    /// Looks which of the interfaces that are waited for can be configured.
    pub(crate) fn links_changed(&mut self) {
        if let Some(watch) = &self.interfaces.watch {
            watch.has_changed();
        }
        let waiting = std::mem::take(&mut self.interfaces.waiting);
        for (number, wanted) in waiting {
            match self.interfaces.fetch(&wanted).and_then(|()| wanted.configure(wanted.mac)) {
                Ok(true) => {
                    phase("interface configured");
                    self.respond(number, Ok(Reply::Done));
                }
                Ok(false) => self.interfaces.waiting.push((number, wanted)),
                Err(failure) => self.respond(number, Err(failure)),
            }
        }
        if self.interfaces.waiting.is_empty()
            && let Some(watch) = self.interfaces.watch.take()
        {
            self.poller.remove(&watch);
        }
    }
}

impl Wanted {
    fn parse(request: &Interface) -> Result<Self> {
        let invalid = |text: &String| Failure::invalid(format!("interface: {text}"));
        let addresses =
            request.addresses.iter().map(|text| text.parse().map_err(|_| invalid(text)));
        let gateways = request.gateways.iter().map(|text| text.parse().map_err(|_| invalid(text)));
        Ok(Self {
            mac: parse_mac(&request.mac)?,
            name: request.name.clone(),
            mtu: request.mtu,
            addresses: addresses.collect::<Result<_>>()?,
            gateways: gateways.collect::<Result<_>>()?,
        })
    }

    /// Configures the interface, which has the hardware address `device` until then; returns whether
    /// it is there.
    fn configure(&self, device: Mac) -> Result<bool> {
        let mut socket = open()?;
        let Some(link) = find(&mut socket, device)? else {
            return Ok(false);
        };
        self.apply(&mut socket, &link)
            .map_err(|error| failed(&format!("configure interface {}", self.name), &error))?;
        Ok(true)
    }

    fn apply(&self, socket: &mut Socket, link: &Link) -> std::io::Result<()> {
        let name = Some(self.name.as_str()).filter(|name| *name != link.name);
        let mac = Some(self.mac).filter(|mac| Some(*mac) != link.mac);
        if name.is_some() || mac.is_some() || self.mtu.is_some() {
            let change = Change { name, mac, mtu: self.mtu, ..Change::default() };
            until_free(&self.name, || socket.change_link(link.index, change))?;
        }
        // As in Docker: where there is no IPv6 there is no link-local address, either.
        let has_v6 = self.addresses.iter().any(|address| address.address.is_ipv6());
        allow_ipv6(&self.name, has_v6);
        // Before it is up: an address of IPv6 that comes later would wait for a link-local one.
        for address in &self.addresses {
            socket.add_address(link.index, *address)?;
        }
        socket.change_link(link.index, Change { up: Some(true), ..Change::default() })?;
        let any = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        // A device that cannot say has none.
        let _ = sys::look_at_carrier(any.as_fd(), &self.name);
        for gateway in &self.gateways {
            add_default_route(socket, link.index, *gateway)?;
        }
        Ok(())
    }
}

/// Takes an interface down, and from it all that a container may find or have made of it.
fn forget(socket: &mut Socket, link: &Link) -> std::io::Result<()> {
    // Routes and neighbours go with that.
    socket.change_link(link.index, Change { up: Some(false), ..Change::default() })?;
    for address in socket.v4_addresses(link.index)? {
        socket.remove_address(link.index, address)?;
    }
    allow_ipv6(&link.name, false);
    Ok(())
}

/// Whether an interface has addresses of IPv6; those that it has go. A kernel without IPv6 has no
/// such file.
fn allow_ipv6(name: &str, allowed: bool) {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    let _ = std::fs::write(path, if allowed { "0" } else { "1" });
}

fn open() -> Result<Socket> {
    Socket::open(Protocol::Route).map_err(|error| failed("open a netlink socket", &error))
}

fn parse_mac(text: &str) -> Result<Mac> {
    text.parse().map_err(|_| Failure::invalid(format!("interface: {text}")))
}

/// Returns the interface with the hardware address `mac` in the namespace of `socket`.
fn find(socket: &mut Socket, mac: Mac) -> Result<Option<Link>> {
    let links = socket.links().map_err(|error| failed("list interfaces", &error))?;
    Ok(links.into_iter().find(|link| link.mac == Some(mac)))
}

/// Gives an interface `name` by `change`. The kernel calls devices `eth0` and so on as they come: one that
/// has the name and is not what it is meant for gives way.
fn until_free(name: &str, mut change: impl FnMut() -> std::io::Result<()>) -> std::io::Result<()> {
    let mut tries = 0;
    loop {
        match change() {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) && tries < TRIES => {
                tries += 1;
                let mut socket = Socket::open(Protocol::Route)?;
                let holder = socket.links()?.into_iter().find(|link| link.name == name);
                if let Some(holder) = holder {
                    let other = format!("plugged{}", holder.index);
                    let given = Change { name: Some(&other), ..Change::default() };
                    socket.change_link(holder.index, given)?;
                }
            }
            other => return other,
        }
    }
}

/// Sends what is for nobody near to `gateway`, through the interface `index`.
fn add_default_route(socket: &mut Socket, index: u32, gateway: IpAddr) -> std::io::Result<()> {
    let everything = match gateway {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    };
    let destination = Cidr { address: everything, prefix: 0 };
    socket.add_route(index, Route { destination, gateway })
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    Failure::failed(format!("{what}: {}", errno_text(errno)))
}

/// How many devices may take a name before the one that it is for: more than there can be.
const TRIES: u32 = 64;
