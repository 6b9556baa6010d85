//! UDP: each client has a socket of its own to the container, for as long as it says something.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{Dialer, Target};
use crate::pktinfo::{self, Received};
use crate::protocol::Transport;
use crate::task::Task;

/// Carries datagrams until it is dropped.
pub(super) async fn serve(socket: UdpSocket, target: Target, dialer: Dialer) {
    let socket = Rc::new(socket);
    let mut flows = Flows(HashMap::new());
    let mut buffer = vec![0; 65536];
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        let received = tokio::select! {
            received = receive(&socket, &mut buffer) => received,
            _ = sweep.tick() => {
                flows.0.retain(|_, flow| flow.last.get().elapsed() < IDLE);
                continue;
            }
        };
        // An error is about a datagram that was sent.
        let Ok(Received { length, from, to }) = received else { continue };
        // Who asks at two addresses of the host has two flows.
        let client = Client { address: from, at: to };
        if !flows.0.contains_key(&client) {
            if flows.0.len() >= MOST_FLOWS {
                flows.drop_oldest();
            }
            let target = target.get();
            match Flow::open(&socket, client, target, &dialer).await {
                Ok(flow) => drop(flows.0.insert(client, flow)),
                Err(error) => {
                    tracing::debug!(%target, %error, "a datagram is lost");
                    continue;
                }
            }
        }
        if let Some(flow) = flows.0.get(&client) {
            flow.last.set(Instant::now());
            // Lost if the container does not keep up, as on any network. Not by tokio, which does not
            // know of a new socket that it can be written.
            let _ = rustix::net::send(&*flow.server, &buffer[..length], SendFlags::DONTWAIT);
        }
    }
}

/// Who sends, and to which address of the host.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Client {
    address: SocketAddr,
    at: Option<IpAddr>,
}

async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut receive = || pktinfo::receive(socket.as_fd(), buffer);
    socket.async_io(Interest::READABLE, &mut receive).await
}

struct Flows(HashMap<Client, Flow>);

impl Flows {
    fn drop_oldest(&mut self) {
        let oldest =
            self.0.iter().min_by_key(|(_, flow)| flow.last.get()).map(|(client, _)| *client);
        oldest.and_then(|client| self.0.remove(&client));
    }
}

/// A client's way to the container and back.
struct Flow {
    server: Rc<UdpSocket>,
    /// When either side has said something.
    last: Rc<Cell<Instant>>,
    _answers: Task,
}

impl Flow {
    async fn open(
        socket: &Rc<UdpSocket>,
        client: Client,
        target: SocketAddr,
        dialer: &Dialer,
    ) -> io::Result<Self> {
        let fd = super::socket(dialer, target, Transport::Udp)?;
        let server = UdpSocket::from_std(fd.into())?;
        server.connect(target).await?;
        let server = Rc::new(server);
        let last = Rc::new(Cell::new(Instant::now()));
        let answers = answers(Rc::clone(&server), Rc::clone(socket), client, Rc::clone(&last));
        Ok(Self { server, last, _answers: Task::spawn(answers) })
    }
}

async fn answers(
    server: Rc<UdpSocket>,
    socket: Rc<UdpSocket>,
    client: Client,
    last: Rc<Cell<Instant>>,
) {
    let mut buffer = vec![0; 65536];
    loop {
        match server.recv(&mut buffer).await {
            Ok(length) => {
                last.set(Instant::now());
                let send =
                    || pktinfo::send(socket.as_fd(), &buffer[..length], client.address, client.at);
                let _ = socket.async_io(Interest::WRITABLE, send).await;
            }
            // Refused: nobody listens yet.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

const MOST_FLOWS: usize = 4096;
/// How long client and container may say nothing to each other.
const IDLE: Duration = Duration::from_secs(90);
const SWEEP: Duration = Duration::from_secs(10);
