//! Binds ports of the host: all of a container, or none.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, getsockname, listen, socket_with};

use crate::protocol::{Publish, Transport};

/// A socket of the host, bound and, if it is a stream's, listening.
#[derive(Debug)]
pub(crate) struct Bound(pub(super) OwnedFd);

/// Why a port cannot be bound.
#[derive(Debug)]
pub(crate) struct Conflict {
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) error: io::Error,
}

/// Binds `all`, each to one port on all of its addresses; returns them with the ports and addresses
/// that they have. If one cannot be, none is.
pub(crate) fn bind(all: &[Publish]) -> Result<Vec<(Publish, Vec<Bound>)>, Conflict> {
    let mut bound = Vec::new();
    for publish in all {
        bound.push(one(publish)?);
    }
    Ok(bound)
}

fn one(publish: &Publish) -> Result<(Publish, Vec<Bound>), Conflict> {
    let (first, last) = publish.host_ports;
    let mut conflict = None;
    if first == 0 {
        for _ in 0..ATTEMPTS {
            match at(publish, 0) {
                Ok(bound) => return Ok(bound),
                Err(error) => conflict = Some(error),
            }
        }
    } else {
        for port in first..=last {
            match at(publish, port) {
                Ok(bound) => return Ok(bound),
                Err(error) => conflict = Some(error),
            }
        }
    }
    // There was at least one attempt.
    Err(conflict.unwrap_or_else(|| Conflict {
        host: publish.hosts.first().copied().unwrap_or(IpAddr::from([0; 4])),
        port: first,
        error: io::ErrorKind::InvalidInput.into(),
    }))
}

/// Binds all addresses to `port`; 0: to the one that the first of them is given.
fn at(publish: &Publish, mut port: u16) -> Result<(Publish, Vec<Bound>), Conflict> {
    let (mut sockets, mut hosts) = (Vec::new(), Vec::new());
    for host in &publish.hosts {
        match open(SocketAddr::new(*host, port), publish.transport) {
            Ok((socket, got)) => {
                port = got;
                sockets.push(Bound(socket));
                hosts.push(*host);
            }
            // A host without IPv6 publishes on IPv4.
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
                if host.is_ipv6() && publish.hosts.len() > 1 => {}
            Err(errno) => return Err(Conflict { host: *host, port, error: errno.into() }),
        }
    }
    let publish = Publish { hosts, host_ports: (port, port), ..publish.clone() };
    Ok((publish, sockets))
}

fn open(address: SocketAddr, transport: Transport) -> Result<(OwnedFd, u16), Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let kind = match transport {
        Transport::Tcp => SocketType::STREAM,
        Transport::Udp => SocketType::DGRAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, None)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    if transport == Transport::Tcp {
        // Connections that linger from before are no conflict.
        set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    if transport == Transport::Tcp {
        listen(&socket, BACKLOG)?;
    }
    let got = SocketAddr::try_from(getsockname(socket.as_fd())?).map_err(|_| Errno::INVAL)?;
    Ok((socket, got.port()))
}

/// Ports that are free on one address and not on the other are rare.
const ATTEMPTS: u32 = 16;
/// The kernel has a limit of its own.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn publish(ports: (u16, u16), port: u16) -> Publish {
        Publish {
            hosts: vec![Ipv4Addr::LOCALHOST.into()],
            host_ports: ports,
            address: Ipv4Addr::LOCALHOST.into(),
            port,
            transport: Transport::Tcp,
        }
    }

    #[test]
    fn all_are_bound_or_none() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = taken.local_addr().unwrap().port();
        let free = bind(&[publish((0, 0), 80)]).unwrap()[0].0.host_ports.0;
        let both = [publish((free, free), 80), publish((number, number), 81)];
        let conflict = bind(&both).unwrap_err();
        assert_eq!((conflict.port, conflict.error.kind()), (number, io::ErrorKind::AddrInUse));
        // Nothing was left behind.
        let again = bind(&both[..1]).unwrap();
        assert_eq!(again[0].0.host_ports, (free, free));
    }

    #[test]
    fn of_a_range_a_free_one_is_taken() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = taken.local_addr().unwrap().port();
        let bound = bind(&[publish((number, number.saturating_add(20)), 80)]).unwrap();
        let (port, _) = bound[0].0.host_ports;
        assert!(port > number);
    }
}
