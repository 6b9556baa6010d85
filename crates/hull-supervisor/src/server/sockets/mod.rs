//! Unix sockets between host and container: those of the host that the container has, those of the
//! container that are published on the host, and both in shared directories. Each connection to one is
//! another one on the other side, and a stream each way between.

mod carry;
mod files;
mod published;

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hull_guest::Guest;
use hull_protocol::Request;
use hull_share::Server;
use hull_socket::Address;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::context::{Context, chain};
use carry::Carrier;
pub(super) use published::Published;

/// All connections of a container.
#[derive(Debug)]
pub(super) struct Sockets {
    guest: Guest,
    carrier: Rc<Carrier>,
    tasks: JoinSet<()>,
    closing: watch::Sender<bool>,
    shares: Option<Server>,
}

impl Sockets {
    /// Lets the host connect to what the container publishes, and both to what is in `shares`.
    pub(super) fn open(
        context: &Context,
        guest: &Guest,
        published: Vec<Published>,
        shares: Option<&Server>,
    ) -> Self {
        let mut sockets = Self {
            guest: guest.clone(),
            shares: shares.cloned(),
            carrier: Rc::new(Carrier::new(MOST_CONNECTIONS)),
            tasks: JoinSet::new(),
            closing: watch::Sender::new(false),
        };
        for published in published {
            let container = context.launch.container.clone();
            let (guest, carrier) = (guest.clone(), Rc::clone(&sockets.carrier));
            let closing = sockets.closing.subscribe();
            sockets
                .tasks
                .spawn_local(published::serve(published, container, guest, carrier, closing));
        }
        if let Some(server) = shares {
            let container = context.launch.container.clone();
            let (guest, carrier) = (guest.clone(), Rc::clone(&sockets.carrier));
            let closing = sockets.closing.subscribe();
            let files = files::Files::new(server.clone(), container, guest, carrier);
            sockets.tasks.spawn_local(files.attend(closing));
        }
        sockets
    }

    /// Connects a process of the container to the socket of the host that is `share`, or in it by the
    /// number `node`.
    pub(super) fn connected(
        &mut self,
        context: &Context,
        share: u32,
        node: Option<u64>,
        connection: u32,
    ) {
        // Those that have ended.
        while self.tasks.try_join_next().is_some() {}
        if self.tasks.len() >= MOST_TASKS {
            // No agent of ours tells of so many that wait.
            return;
        }
        let source = match (node, &self.shares) {
            (None, _) => {
                let found = context.launch.shares.get(share as usize);
                let found = found.filter(|share| share.socket.is_some());
                found.map(|share| Source::Path(share.source.clone()))
            }
            (Some(node), Some(shares)) => shares.socket(share, node).map(Source::File),
            (Some(_), None) => None,
        };
        let (guest, carrier) = (self.guest.clone(), Rc::clone(&self.carrier));
        let (shares, node) = (self.shares.clone(), node.unwrap_or_default());
        self.tasks.spawn_local(async move {
            let _slot = carrier.slot().await;
            let stream = match &source {
                Some(source) => source.connect().await,
                None => Err(io::ErrorKind::NotFound.into()),
            };
            match stream {
                Ok(stream) => {
                    let request = |streams| Request::Join { connection, streams };
                    carrier.carry(&guest, stream, request, None).await;
                }
                Err(error) => {
                    tracing::debug!(?source, %error, "cannot connect to a socket of the host");
                    if let (Some(Source::File(_)), Some(shares)) = (&source, shares) {
                        shares.desert(share, node);
                    }
                    // The process sees its connection end.
                    let refused = guest.send(&Request::Refuse { connection }).done().await;
                    if let Err(error) = refused {
                        tracing::debug!(error = chain(&error), "cannot refuse a connection");
                    }
                }
            }
        });
    }

    /// Ends it all: no more connections are made, and those that there are get a moment for what is
    /// still on its way.
    pub(super) async fn close(mut self) {
        self.closing.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(LAST_BYTES, ended).await;
    }
}

/// A socket of the host.
#[derive(Debug)]
enum Source {
    Path(PathBuf),
    /// Its file, open with `O_PATH`.
    File(OwnedFd),
}

impl Source {
    /// Connects to it, waiting if many do.
    async fn connect(&self) -> io::Result<UnixStream> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let address = match self {
                Self::Path(path) => Address::of(path)?,
                Self::File(file) => {
                    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                    Address::of(Path::new(&path))?
                }
            };
            match UnixStream::connect(address.path()).await {
                // Its queue is full: connect(2) does not wait, as the socket does not block.
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline =>
                {
                    sleep(POLL).await;
                }
                connected => return connected,
            }
        }
    }
}

/// Returns a semaphore for `count` things at once.
fn semaphore(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count))
}

/// Connections at once, of all sockets of a container; more wait.
const MOST_CONNECTIONS: usize = 1024;
/// Of an agent that keeps to the protocol, some more than connections.
const MOST_TASKS: usize = 2 * MOST_CONNECTIONS;
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
/// What a container that has ended has sent is on its way for so long at most.
const LAST_BYTES: Duration = Duration::from_secs(1);
