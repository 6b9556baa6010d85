//! Ports of the host that lead to containers.

mod listen;
mod tcp;
mod udp;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use tokio::task::AbortHandle;

use crate::namespace::{Namespace, SocketKind};
use crate::protocol::{Publish, Transport};

pub(crate) use listen::{Bound, Conflict, bind};

/// Ports that are served until this is dropped; connections that exist go with it.
#[derive(Debug)]
pub(crate) struct Ports {
    tasks: Vec<AbortHandle>,
}

/// Opens sockets in the namespace.
pub(crate) type Dialer = Rc<RefCell<Namespace>>;

impl Ports {
    /// Serves what has been bound.
    pub(crate) fn serve(bound: Vec<(Publish, Vec<Bound>)>, dialer: &Dialer) -> io::Result<Self> {
        let mut tasks = Vec::new();
        for (publish, sockets) in bound {
            let target = SocketAddr::new(publish.address, publish.port);
            for Bound(socket) in sockets {
                let dialer = Rc::clone(dialer);
                tasks.push(match publish.transport {
                    Transport::Tcp => {
                        let listener = tokio::net::TcpListener::from_std(socket.into())?;
                        tokio::task::spawn_local(tcp::serve(listener, target, dialer))
                    }
                    Transport::Udp => {
                        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
                        tokio::task::spawn_local(udp::serve(socket, target, dialer))
                    }
                });
            }
        }
        Ok(Self { tasks: tasks.iter().map(|task| task.abort_handle()).collect() })
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Opens a socket in the namespace from which `target` is reached.
fn socket(dialer: &Dialer, target: SocketAddr, transport: Transport) -> io::Result<OwnedFd> {
    let kind = match (transport, target) {
        (Transport::Tcp, SocketAddr::V4(_)) => SocketKind::TcpV4,
        (Transport::Tcp, SocketAddr::V6(_)) => SocketKind::TcpV6,
        (Transport::Udp, SocketAddr::V4(_)) => SocketKind::UdpV4,
        (Transport::Udp, SocketAddr::V6(_)) => SocketKind::UdpV6,
    };
    dialer.borrow_mut().socket(kind)
}
