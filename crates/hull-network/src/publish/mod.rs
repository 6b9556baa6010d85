//! Ports of the host that lead to containers.

mod listen;
mod relay;
mod tcp;
mod udp;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::ipam::is_link_local;
use crate::namespace::{Namespace, SocketKind};
use crate::pktinfo;
use crate::protocol::{Endpoint, Publish, Transport};
use crate::task::Task;

pub(crate) use listen::{Bound, Conflict, bind};
pub(crate) use tcp::dial;

/// Ports that are served until this is dropped, and free from then on; connections that exist go
/// with it.
#[derive(Debug)]
pub(crate) struct Ports {
    _tasks: Vec<Task>,
    targets: Vec<Target>,
}

/// Where a port leads to: another address when the container leaves the network of that one.
type Target = Rc<Cell<SocketAddr>>;

/// Opens sockets in the namespace.
pub(crate) type Dialer = Rc<RefCell<Namespace>>;

impl Ports {
    /// Serves what has been bound.
    pub(crate) fn serve(bound: Vec<(Publish, Vec<Bound>)>, dialer: &Dialer) -> io::Result<Self> {
        let (mut tasks, mut targets) = (Vec::new(), Vec::new());
        for (publish, sockets) in bound {
            let target = SocketAddr::new(publish.address, publish.port);
            let target = Rc::new(Cell::new(target));
            targets.push(Rc::clone(&target));
            for Bound(socket) in sockets {
                let (dialer, target) = (Rc::clone(dialer), Rc::clone(&target));
                tasks.push(match publish.transport {
                    Transport::Tcp => {
                        let listener = tokio::net::TcpListener::from_std(socket.into())?;
                        Task::spawn(tcp::serve(listener, target, dialer))
                    }
                    Transport::Udp => {
                        pktinfo::enable(&socket)?;
                        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
                        Task::spawn(udp::serve(socket, target, dialer))
                    }
                });
            }
        }
        Ok(Self { _tasks: tasks, targets })
    }

    /// Has the ports lead to an address that the container has, if it no longer has the one that
    /// they lead to. Connections that exist are left alone.
    pub(crate) fn aim(&self, endpoints: &[Endpoint]) {
        let all: Vec<IpAddr> = endpoints
            .iter()
            .flat_map(|endpoint| &endpoint.addresses)
            .map(|cidr| cidr.address)
            .filter(|address| !is_link_local(*address))
            .collect();
        for target in &self.targets {
            let old = target.get();
            if let Some(address) = all.first().filter(|_| !all.contains(&old.ip())) {
                target.set(SocketAddr::new(*address, old.port()));
            }
        }
    }
}

/// Opens a socket in the namespace from which `target` is reached.
pub(crate) fn socket(
    dialer: &Dialer,
    target: SocketAddr,
    transport: Transport,
) -> io::Result<OwnedFd> {
    let kind = match (transport, target) {
        (Transport::Tcp, SocketAddr::V4(_)) => SocketKind::TcpV4,
        (Transport::Tcp, SocketAddr::V6(_)) => SocketKind::TcpV6,
        (Transport::Udp, SocketAddr::V4(_)) => SocketKind::UdpV4,
        (Transport::Udp, SocketAddr::V6(_)) => SocketKind::UdpV6,
    };
    dialer.borrow_mut().socket(kind)
}
