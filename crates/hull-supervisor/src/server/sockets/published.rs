//! Sockets of the host that lead to those of a container (`--publish-socket`).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use hull_guest::Guest;
use hull_protocol::{Duplex, Request};
use hull_socket::{Address, Stale};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::carry::Carrier;
use super::semaphore;
use crate::control::{Failure, FailureCode};
use crate::launch::PublishedSocket;

/// A socket of the host that nobody answers yet. Its file goes with it.
#[derive(Debug)]
pub(in crate::server) struct Published {
    listener: UnixListener,
    /// In the container.
    target: String,
    _file: SocketFile,
}

impl Published {
    /// Makes all sockets that a container publishes, or none. What a process that was killed has
    /// left in their places is replaced.
    pub(in crate::server) fn all(sockets: &[PublishedSocket]) -> Result<Vec<Self>, Failure> {
        sockets.iter().map(Self::new).collect()
    }

    fn new(socket: &PublishedSocket) -> Result<Self, Failure> {
        let path = &socket.host;
        let refuse = |reason: &str, hint: Option<&str>| Failure {
            code: FailureCode::Invalid,
            message: format!("cannot publish a socket at {}: {reason}", path.display()),
            hint: hint.map(str::to_owned),
        };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => {
                refuse("its directory does not exist", Some("make the directory first"))
            }
            io::ErrorKind::PermissionDenied => {
                refuse("permission denied", Some("choose a directory that the daemon may write"))
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => {
                refuse("its name is too long", Some("choose a shorter one"))
            }
            _ => refuse(&error.to_string(), None),
        };
        match hull_socket::remove_stale(path).map_err(failed)? {
            Stale::Nothing | Stale::Removed => {}
            Stale::InUse => {
                let hint = "remove the container that publishes it, or choose another path";
                return Err(refuse("another process listens there", Some(hint)));
            }
            Stale::NoSocket => {
                let hint = "remove it, or choose another path";
                return Err(refuse("something that is no socket is there", Some(hint)));
            }
        }
        let listener = Address::of(path).and_then(|address| hull_socket::listen(&address));
        let listener = listener.map_err(failed)?;
        let file = SocketFile::new(path).map_err(failed)?;
        Ok(Self { listener, target: socket.container.clone(), _file: file })
    }
}

/// Removes a socket when it goes, if it is still the one that it was.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Somebody else has removed it, or taken the right to away.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Connects clients of a socket with the container until it is `closing`, and then waits for those
/// that there are.
pub(super) async fn serve(
    published: Published,
    container: String,
    guest: Guest,
    carrier: Rc<Carrier>,
    closing: watch::Receiver<bool>,
) {
    let Published { listener, target, _file } = published;
    let request = move |streams| {
        let (container, path) = (container.clone(), target.clone());
        Request::Dial { container, path, streams }
    };
    accept((listener, _file), &guest, carrier, request, closing, || {}).await;
}

/// Connects clients of `socket`, and what else is to go with it, by `request` until it is `closing`,
/// and then waits for those that there are. `refused` is called when the guest did not connect.
pub(super) async fn accept<T>(
    socket: (UnixListener, T),
    guest: &Guest,
    carrier: Rc<Carrier>,
    request: impl Fn(Duplex) -> Request + 'static,
    mut closing: watch::Receiver<bool>,
    refused: impl Fn() + 'static,
) {
    let dials = semaphore(MOST_DIALS);
    let mut connections = JoinSet::new();
    let (request, refused) = (Rc::new(request), Rc::new(refused));
    loop {
        let accepted = tokio::select! {
            // The sender may have gone as well.
            _ = closing.wait_for(|closing| *closing) => break,
            Some(_) = connections.join_next() => continue,
            accepted = async {
                let slot = carrier.slot().await;
                (socket.0.accept().await, slot)
            } => accepted,
        };
        let (Ok((stream, _)), slot) = accepted else {
            // Descriptors have run out; connections that end give some back.
            sleep(DESCRIPTORS_PAUSE).await;
            continue;
        };
        let (guest, carrier, dials) = (guest.clone(), Rc::clone(&carrier), dials.clone());
        let (request, refused) = (Rc::clone(&request), Rc::clone(&refused));
        connections.spawn_local(async move {
            let _slot = slot;
            // Each costs the guest a process until it has connected.
            let dial = dials.acquire_owned().await;
            if !carrier.carry(&guest, stream, |streams| request(streams), dial.ok()).await {
                refused();
            }
        });
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// Connections on their way to the container at once; more wait.
const MOST_DIALS: usize = 32;
const DESCRIPTORS_PAUSE: Duration = Duration::from_millis(20);
