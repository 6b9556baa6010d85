//! The server on the gateways of all networks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{bind, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::message::{A, AAAA, Code, Question};
use super::{Names, Upstream};
use crate::ipam::host_address;
use crate::namespace::{Namespace, SocketKind};
use crate::pktinfo;
use crate::task::Task;

/// Serves all networks until it is dropped. It listens on no address in particular, so that networks
/// come and go without it: the address of a new one may be that of another which is about to go.
#[derive(Debug)]
pub(crate) struct Server {
    _tasks: Vec<Task>,
}

/// What a server knows.
#[derive(Debug)]
struct Knowledge {
    names: Rc<RefCell<Names>>,
    upstream: Upstream,
    /// Questions to resolvers under way.
    asking: Semaphore,
}

impl Server {
    /// Begins to serve in the namespace.
    pub(crate) fn start(
        namespace: &mut Namespace,
        names: Rc<RefCell<Names>>,
        upstream: Upstream,
    ) -> io::Result<Self> {
        let asking = Semaphore::new(MOST_ASKING);
        let knowledge = Rc::new(Knowledge { names, upstream, asking });
        let mut tasks = Vec::new();
        for all in [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()] {
            let (udp, tcp) = match open(namespace, all) {
                Ok(sockets) => sockets,
                // A kernel without IPv6.
                Err(error) if all.is_ipv6() && is_no_family(&error) => continue,
                Err(error) => return Err(error),
            };
            let udp = Rc::new(UdpSocket::from_std(udp.into())?);
            let tcp = TcpListener::from_std(tcp.into())?;
            tasks.push(Task::spawn(datagrams(udp, Rc::clone(&knowledge))));
            tasks.push(Task::spawn(streams(tcp, Rc::clone(&knowledge))));
        }
        Ok(Self { _tasks: tasks })
    }
}

/// Opens the sockets for datagrams and for streams.
fn open(namespace: &mut Namespace, all: IpAddr) -> io::Result<(OwnedFd, OwnedFd)> {
    let (udp, tcp) = match all {
        IpAddr::V4(_) => (SocketKind::UdpV4, SocketKind::TcpV4),
        IpAddr::V6(_) => (SocketKind::UdpV6, SocketKind::TcpV6),
    };
    let (udp, tcp) = (namespace.socket(udp)?, namespace.socket(tcp)?);
    for socket in [&udp, &tcp] {
        if all.is_ipv6() {
            set_ipv6_v6only(socket, true)?;
        }
        // The service before this one, which was killed, has given up its lock first and its sockets
        // a moment later.
        set_socket_reuseport(socket, true)?;
    }
    set_socket_reuseaddr(&tcp, true)?;
    pktinfo::enable(&udp)?;
    let address = SocketAddr::new(all, PORT);
    bind(&udp, &address)?;
    bind(&tcp, &address)?;
    listen(&tcp, 64)?;
    Ok((udp, tcp))
}

fn is_no_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

async fn datagrams(socket: Rc<UdpSocket>, knowledge: Rc<Knowledge>) {
    let mut buffer = vec![0; 4096];
    loop {
        let receive = || pktinfo::receive(socket.as_fd(), &mut buffer);
        let Ok(received) = socket.async_io(Interest::READABLE, receive).await else {
            // An answer that did not arrive.
            tokio::task::yield_now().await;
            continue;
        };
        let packet = &buffer[..received.length];
        let source = received.from;
        let Some(question) = Question::parse(packet) else { continue };
        let answer = move |socket: &UdpSocket, bytes: &[u8]| {
            // From the gateway that was asked. Lost if there is no room, as datagrams are.
            let _ = pktinfo::send(socket.as_fd(), bytes, source, received.to);
        };
        match knowledge.known(source.ip(), &question) {
            Some(known) => answer(&socket, &question.fit(known)),
            None => {
                let (socket, knowledge) = (Rc::clone(&socket), Rc::clone(&knowledge));
                let packet = packet.to_vec();
                tokio::task::spawn_local(async move {
                    let asked = knowledge.asked(source.ip(), &question, &packet, false).await;
                    answer(&socket, &question.fit(asked));
                });
            }
        }
    }
}

async fn streams(listener: TcpListener, knowledge: Rc<Knowledge>) {
    let open = Streams::default();
    loop {
        match listener.accept().await {
            Ok((stream, source)) => {
                // Who has too many has this one closed.
                let Some(place) = open.enter(source.ip()) else { continue };
                let knowledge = Rc::clone(&knowledge);
                tokio::task::spawn_local(async move {
                    let _ = timeout(STREAM_PATIENCE, stream_of(stream, source, &knowledge)).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// How many streams each asker has open: nobody takes those of others.
#[derive(Clone, Debug, Default)]
struct Streams(Rc<RefCell<HashMap<IpAddr, usize>>>);

impl Streams {
    /// Counts a stream for as long as the value lives; `None` if `asker` has as many as it may.
    fn enter(&self, asker: IpAddr) -> Option<Place> {
        let mut open = self.0.borrow_mut();
        let count = open.entry(asker).or_default();
        if *count >= MOST_STREAMS {
            return None;
        }
        *count += 1;
        Some(Place { streams: self.clone(), asker })
    }
}

#[derive(Debug)]
struct Place {
    streams: Streams,
    asker: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.borrow_mut();
        if let Some(count) = open.get_mut(&self.asker) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.asker);
            }
        }
    }
}

async fn stream_of(
    mut stream: TcpStream,
    source: SocketAddr,
    knowledge: &Knowledge,
) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut packet = vec![0; length.into()];
        stream.read_exact(&mut packet).await?;
        let Some(question) = Question::parse(&packet) else { return Ok(()) };
        let answer = match knowledge.known(source.ip(), &question) {
            Some(answer) => answer,
            None => knowledge.asked(source.ip(), &question, &packet, true).await,
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
    }
}

impl Knowledge {
    /// Answers what needs nobody else.
    fn known(&self, source: IpAddr, question: &Question) -> Option<Vec<u8>> {
        if !question.is_internet() {
            return Some(question.refuse(Code::NotImplemented));
        }
        let mut names = self.names.borrow_mut();
        if let Some(address) = question.reverse() {
            return names.name(source, address).map(|name| question.pointer(&name));
        }
        let addresses = names.addresses(source, &question.name).or_else(|| {
            let is_host = HOST_NAMES.contains(&question.name.as_str());
            is_host.then(host_address).flatten().map(|address| vec![address])
        })?;
        Some(match question.kind {
            A | AAAA => question.addresses(&addresses),
            // The name is there, records of that kind are not.
            _ => question.refuse(Code::Done),
        })
    }

    /// Asks the host's resolvers.
    async fn asked(
        &self,
        source: IpAddr,
        question: &Question,
        packet: &[u8],
        stream: bool,
    ) -> Vec<u8> {
        let resolvers = self.names.borrow().resolvers(source);
        if !self.names.borrow().has_way_out(source) {
            return question.refuse(Code::NoSuchName);
        }
        let Ok(_permit) = self.asking.try_acquire() else {
            return question.refuse(Code::Failed);
        };
        let answer = self.upstream.ask(packet, stream, &resolvers).await;
        answer.unwrap_or_else(|| question.refuse(Code::Failed))
    }
}

const PORT: u16 = 53;
const HOST_NAMES: [&str; 3] =
    ["host.docker.internal", "gateway.docker.internal", "host.hull.internal"];
const MOST_ASKING: usize = 256;
/// Of one asker.
const MOST_STREAMS: usize = 32;
const STREAM_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_the_streams_of_others() {
        let streams = Streams::default();
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let mut places: Vec<_> = (0..MOST_STREAMS).map(|_| streams.enter(one)).collect();
        assert!(places.iter().all(Option::is_some) && streams.enter(one).is_none());
        assert!(streams.enter(other).is_some());
        places.pop();
        assert!(streams.enter(one).is_some());
        places.clear();
        assert!(streams.0.borrow().is_empty());
    }
}
