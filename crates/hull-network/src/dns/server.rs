//! The server on one network's gateway.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{bind, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::message::{A, AAAA, Code, Question};
use super::{Names, Upstream};
use crate::ipam::host_address;
use crate::namespace::{Namespace, SocketKind};

/// Serves one network until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    tasks: Vec<AbortHandle>,
}

/// What all servers share.
#[derive(Debug)]
pub(crate) struct Knowledge {
    names: Rc<RefCell<Names>>,
    upstream: Upstream,
    /// Questions to resolvers under way.
    asking: Semaphore,
}

/// The sockets of a server, before it serves.
#[derive(Debug)]
pub(crate) struct Sockets {
    udp: OwnedFd,
    tcp: OwnedFd,
}

impl Sockets {
    /// Opens the sockets on `address` in the namespace.
    pub(crate) fn open(namespace: &mut Namespace, address: IpAddr) -> io::Result<Self> {
        let (udp, tcp) = match address {
            IpAddr::V4(_) => (SocketKind::UdpV4, SocketKind::TcpV4),
            IpAddr::V6(_) => (SocketKind::UdpV6, SocketKind::TcpV6),
        };
        let address = SocketAddr::new(address, PORT);
        let udp = namespace.socket(udp)?;
        // A network that has just gone may have had the address, and its server be about to end.
        set_socket_reuseport(&udp, true)?;
        bind(&udp, &address)?;
        let tcp = namespace.socket(tcp)?;
        set_socket_reuseaddr(&tcp, true)?;
        set_socket_reuseport(&tcp, true)?;
        bind(&tcp, &address)?;
        listen(&tcp, 64)?;
        Ok(Self { udp, tcp })
    }
}

impl Knowledge {
    pub(crate) fn new(names: Rc<RefCell<Names>>, upstream: Upstream) -> Self {
        Self { names, upstream, asking: Semaphore::new(MOST_ASKING) }
    }
}

impl Server {
    /// Begins to serve.
    pub(crate) fn start(sockets: Sockets, knowledge: &Rc<Knowledge>) -> io::Result<Self> {
        let udp = Rc::new(UdpSocket::from_std(sockets.udp.into())?);
        let tcp = TcpListener::from_std(sockets.tcp.into())?;
        let datagrams = tokio::task::spawn_local(datagrams(udp, Rc::clone(knowledge)));
        let streams = tokio::task::spawn_local(streams(tcp, Rc::clone(knowledge)));
        Ok(Self { tasks: vec![datagrams.abort_handle(), streams.abort_handle()] })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn datagrams(socket: Rc<UdpSocket>, knowledge: Rc<Knowledge>) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, source)) = socket.recv_from(&mut buffer).await else {
            // An answer that did not arrive.
            tokio::task::yield_now().await;
            continue;
        };
        let packet = &buffer[..length];
        let Some(question) = Question::parse(packet) else { continue };
        match knowledge.known(source.ip(), &question) {
            Some(answer) => {
                let _ = socket.try_send_to(&question.fit(answer), source);
            }
            None => {
                let (socket, knowledge) = (Rc::clone(&socket), Rc::clone(&knowledge));
                let packet = packet.to_vec();
                tokio::task::spawn_local(async move {
                    let answer = knowledge.asked(source.ip(), &question, &packet, false).await;
                    let _ = socket.try_send_to(&question.fit(answer), source);
                });
            }
        }
    }
}

async fn streams(listener: TcpListener, knowledge: Rc<Knowledge>) {
    let open = Arc::new(Semaphore::new(MOST_STREAMS));
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&open).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, source)) => {
                let knowledge = Rc::clone(&knowledge);
                tokio::task::spawn_local(async move {
                    let _ = timeout(STREAM_PATIENCE, stream_of(stream, source, &knowledge)).await;
                    drop(permit);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
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
const MOST_STREAMS: usize = 64;
const STREAM_PATIENCE: Duration = Duration::from_secs(30);
