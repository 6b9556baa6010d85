//! Unix sockets between host and container.
//!
//! A socket of the host that a container has is a socket of the agent's, mounted there or bound to
//! the same file: the host is told of each connection to it, and says which streams are to carry it.
//! A socket that a container's process listens on is connected to when the host asks for it.

mod files;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use hull_protocol::{Access, Duplex, Event, Reply};
use rustix::event::epoll::EventFlags;
use rustix::fs::{Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::agent::Agent;
use crate::container::mounts::clone_path;
use crate::container::paths::{descriptor_path, resolve};
use crate::container::{Container, State};
use crate::failure::{Context, Failure, Result};
use crate::poller::Token;
use crate::requests::check_path;
use crate::setup::{STATE_DIR, make_dir};
use crate::tasks::path_failure;

/// What there is of sockets.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// By key for the poller.
    listeners: BTreeMap<u32, Owned>,
    /// Connections that the host has been told of, by number.
    waiting: BTreeMap<u32, Waiting>,
    /// Connections on their way to a process of a container, by request.
    dialing: BTreeMap<u32, Dialing>,
    last_connection: u32,
}

/// A socket in a container.
#[derive(Debug)]
struct Owned {
    listener: Listener,
    /// The container's key.
    owner: u32,
    /// Connections are accepted as they come.
    is_watched: bool,
}

#[derive(Debug)]
struct Waiting {
    socket: OwnedFd,
    owner: u32,
}

#[derive(Debug)]
struct Dialing {
    socket: OwnedFd,
    owner: u32,
    streams: Duplex,
}

impl Sockets {
    /// Forgets the sockets of a container. Connections end with its processes.
    pub(crate) fn remove_owned(&mut self, owner: u32) {
        self.listeners.retain(|_, listener| listener.owner != owner);
        self.waiting.retain(|_, waiting| waiting.owner != owner);
    }
}

/// A socket that stands for one of the host.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    /// Number of what the host shares.
    share: u32,
    place: Place,
}

/// Where a socket is.
#[derive(Debug)]
enum Place {
    /// At a path of the agent's, to be mounted.
    Path(String),
    /// At a file in a shared directory, by its number.
    File(u64),
}

impl Listener {
    /// Makes the socket for `share`.
    pub(crate) fn new(share: u32, access: Access) -> Result<Self> {
        let what = || format!("make a socket for share {share}");
        let directory = format!("{STATE_DIR}/.sockets");
        make_dir(&directory).context(what)?;
        let path = format!("{directory}/{share}");
        match rustix::fs::unlink(&path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).context(what),
        }
        let socket = bound(&path).context(what)?;
        let (uid, gid) = (Uid::from_raw(access.uid), Gid::from_raw(access.gid));
        rustix::fs::chown(path.as_str(), Some(uid), Some(gid)).context(what)?;
        let mode = Mode::from_raw_mode(access.mode & 0o777);
        rustix::fs::chmod(path.as_str(), mode).context(what)?;
        rustix::net::listen(&socket, BACKLOG).context(what)?;
        Ok(Self { socket, share, place: Place::Path(path) })
    }

    /// Returns a mount of it, attached to nothing.
    pub(crate) fn mount(&self) -> Result<OwnedFd> {
        let what = || format!("mount the socket of share {}", self.share);
        match &self.place {
            Place::Path(path) => clone_path(path).context(what),
            Place::File(_) => Err(Errno::INVAL).context(what),
        }
    }

    /// The number of its file, if it is in a shared directory.
    fn node(&self) -> Option<u64> {
        match &self.place {
            Place::Path(_) => None,
            Place::File(node) => Some(*node),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Place::Path(path) = &self.place {
            // The next one of that number replaces it.
            let _ = rustix::fs::unlink(path);
        }
    }
}

impl Agent {
    /// Accepts what connects to sockets of the container with the key `owner`.
    pub(crate) fn listen(&mut self, owner: u32, listeners: Vec<Listener>) {
        for listener in listeners {
            let key = self.key();
            let token = Token::Listener(key);
            let watched = self.poller.add(&listener.socket, token, EventFlags::IN);
            let is_watched = watched.is_ok();
            self.sockets.listeners.insert(key, Owned { listener, owner, is_watched });
        }
    }

    /// Tells the host of connections.
    pub(crate) fn accept(&mut self, key: u32) {
        loop {
            let Some(owned) = self.sockets.listeners.get_mut(&key) else {
                return;
            };
            if self.sockets.waiting.len() >= MOST_WAITING {
                let token = Token::Listener(key);
                let socket = &owned.listener.socket;
                let _ = self.poller.modify(socket, token, EventFlags::empty());
                owned.is_watched = false;
                return;
            }
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = match rustix::net::accept_with(&owned.listener.socket, flags) {
                Ok(socket) => socket,
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            let (share, owner) = (owned.listener.share, owned.owner);
            let node = owned.listener.node();
            let connection = self.sockets.last_connection.wrapping_add(1);
            self.sockets.last_connection = connection;
            self.sockets.waiting.insert(connection, Waiting { socket, owner });
            self.event(&Event::Connected { share, node, connection });
        }
    }

    /// Lets streams carry a connection that the host has been told of.
    pub(crate) fn join(&mut self, connection: u32, streams: Duplex) -> Result<Reply> {
        let Waiting { socket, owner } = self.answered(connection)?;
        self.carry(socket, streams, owner)
    }

    /// Closes a connection that the host has been told of.
    pub(crate) fn refuse(&mut self, connection: u32) -> Result<Reply> {
        self.answered(connection).map(|_| Reply::Done)
    }

    /// Takes a connection out of those that wait, and accepts the next.
    fn answered(&mut self, connection: u32) -> Result<Waiting> {
        let waiting = self.sockets.waiting.remove(&connection);
        for (key, owned) in &mut self.sockets.listeners {
            if !owned.is_watched {
                let token = Token::Listener(*key);
                let socket = &owned.listener.socket;
                owned.is_watched = self.poller.modify(socket, token, EventFlags::IN).is_ok();
            }
        }
        waiting.ok_or_else(|| Failure::not_found(format!("no connection {connection} waits")))
    }

    /// Begins to connect to a socket of a container.
    pub(crate) fn dial(
        &mut self,
        number: u32,
        container: &str,
        path: &str,
        streams: Duplex,
    ) -> Result<Option<Reply>> {
        check_path(path)?;
        let found = self.running(container)?;
        let owner = found.key;
        let root = found.view()?;
        if let Some(socket) = connect_at_once(&root, path) {
            return self.carry(socket, streams, owner).map(Some);
        }
        // Connecting may block, and what it finds is the container's: it is done by a helper, on a
        // socket that is the agent's, too.
        let socket = socket(SocketFlags::CLOEXEC).context(|| "socket".into())?;
        let keep = [root.as_fd(), socket.as_fd()];
        self.task(number, Some(container.into()), &keep, || {
            let failed = |errno| path_failure(path, errno);
            let target = resolve(&root, path).map_err(failed)?;
            connect(&socket, &descriptor_path(&target)).map_err(failed)?;
            Ok(Reply::Done)
        })?;
        self.sockets.dialing.insert(number, Dialing { socket, owner, streams });
        Ok(None)
    }

    /// Goes on with what the helper of `request` has done: a connection that was made is carried.
    pub(crate) fn dialed(&mut self, request: Option<u32>, result: Result<Reply>) -> Result<Reply> {
        let dialing = request.and_then(|request| self.sockets.dialing.remove(&request));
        match (dialing, result) {
            (Some(Dialing { socket, owner, streams }), Ok(_)) => {
                rustix::io::ioctl_fionbio(&socket, true).context(|| "socket".into())?;
                self.carry(socket, streams, owner)
            }
            (_, result) => result,
        }
    }

    /// Forgets all connections: those of a container that has become another one are the other's.
    pub(crate) fn forget_connections(&mut self) {
        self.sockets.dialing.clear();
        let waiting: Vec<u32> = self.sockets.waiting.keys().copied().collect();
        for connection in waiting {
            // It is there.
            let _ = self.refuse(connection);
        }
    }

    fn running(&self, name: &str) -> Result<&Container> {
        let found = self.container(name)?;
        match found.state {
            State::Running => Ok(found),
            _ => Err(Failure::invalid("the container is not running")),
        }
    }

    fn carry(&mut self, socket: OwnedFd, streams: Duplex, owner: u32) -> Result<Reply> {
        self.check_stream(streams.input)?;
        self.check_stream(streams.output)?;
        if streams.input == streams.output {
            return Err(Failure::invalid("the directions of a connection are one stream"));
        }
        let added = self.streams.add_connection(streams, socket, owner, &self.poller);
        added.context(|| "socket".into())?;
        Ok(Reply::Done)
    }
}

/// Connects to the socket `path` in `root` if that can be done without waiting for anybody: its
/// names are known to the kernel, it is in the container's own file system, and its queue has room.
/// A helper costs the guest many times as much.
fn connect_at_once(root: &OwnedFd, path: &str) -> Option<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV
        | ResolveFlags::CACHED;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let target = rustix::fs::openat2(root, path, flags, Mode::empty(), resolve).ok()?;
    let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).ok()?;
    connect(&socket, &descriptor_path(&target)).ok()?;
    Some(socket)
}

fn connect(socket: &OwnedFd, path: &str) -> rustix::io::Result<()> {
    rustix::net::connect(socket, &SocketAddrUnix::new(path)?)
}

/// Returns a socket that is bound to `path`.
fn bound(path: &str) -> rustix::io::Result<OwnedFd> {
    let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn socket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Connections that the kernel keeps until they are accepted; whoever comes then waits.
const BACKLOG: i32 = 1024;
/// Connections that the host is told of before it has answered.
const MOST_WAITING: usize = 64;
