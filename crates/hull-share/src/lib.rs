//! Directories and files of the host, as file systems of one guest.
//!
//! The guest's kernel speaks FUSE (`include/uapi/linux/fuse.h`, version 7.31 and later); its agent
//! carries the messages between `/dev/fuse` and a virtio-serial port, each with the number of its
//! share before it; [`Server`] answers them at the port's other end. So a machine has any number of
//! shares over one device that every machine has.
//!
//! A guest is hostile. It names files by numbers that it was given, and by single names below
//! them: no path of the guest's is ever resolved by the host, no symbolic link is followed, only
//! regular files and directories are opened, and no device is made. So nothing outside of a share
//! can be named. What it does to one share's numbers is of no consequence to another.
//!
//! | module | what |
//! | --- | --- |
//! | `wire` | messages as bytes |
//! | `server` | threads that take requests and answer them |
//! | `session` | one share: which request is which operation |
//! | `nodes`, `handles` | what the guest has been given numbers for |
//! | `fs` | the operations |
//! | `cache` | what the guest may believe without asking |
//! | `emptied` | volumes that are empty for who uses them first |
//! | `watch`, `attendant`, `forget` | what others change, and telling the guest |
//! | `lease` | whether other machines use the same volume |
//! | `locks` | who has locked what |
//! | `sockets` | unix sockets, and who carries their connections |
//! | `rest`, `state` | when nothing is under way; what a server of a copy of the guest needs to know |
//! | `record` | the same on disk, for a guest that goes on another day |
//! | `owner` | whose files are |
//! | `quota` | how much a share may hold |

#![deny(unsafe_code)]

#[cfg(target_os = "linux")]
mod attendant;
#[cfg(target_os = "linux")]
mod cache;
#[cfg(target_os = "linux")]
mod emptied;
#[cfg(target_os = "linux")]
mod forget;
#[cfg(target_os = "linux")]
mod fs;
#[cfg(target_os = "linux")]
mod handles;
#[cfg(target_os = "linux")]
mod lease;
#[cfg(target_os = "linux")]
mod locks;
#[cfg(target_os = "linux")]
mod nodes;
#[cfg(target_os = "linux")]
mod owner;
#[cfg(target_os = "linux")]
mod quota;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod raw;
mod record;
#[cfg(target_os = "linux")]
mod rest;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod session;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
mod state;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod thread;
#[cfg(target_os = "linux")]
mod watch;
#[cfg(target_os = "linux")]
mod wire;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use record::{Deleted, Record};
#[cfg(target_os = "linux")]
pub use rest::Resting;

/// What concerns the file of a unix socket in a share. The number of the share and the one that the
/// guest has for the file name it.
#[derive(Debug)]
pub enum SocketEvent {
    /// The guest has made it, and this socket of the host is bound to it; it does not listen yet.
    Made { share: u32, node: u64, socket: OwnedFd },
    /// Nobody can connect to one that the guest has made any more.
    Gone { share: u32, node: u64 },
    /// The guest looks for one on which a process of the host listens, and waits for
    /// [`Server::settle`].
    Wanted { share: u32, node: u64 },
    /// Nobody on the host listens on it any more. `waits`: the guest waits as before.
    Deserted { share: u32, node: u64, waits: bool },
}

/// What a server knows of its guest, so that another server, perhaps in another process, can go on
/// with a copy of that guest. Both have to be brought there in their order.
#[derive(Debug, Default)]
pub struct State {
    pub numbers: Vec<u64>,
    pub files: Vec<OwnedFd>,
}

/// A directory or file of the host that a guest may use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Share {
    pub source: PathBuf,
    /// Refuse everything that changes it, whatever the guest's mount allows.
    pub read_only: bool,
    /// Bytes that it may take on the host's disk; what would exceed them fails with `ENOSPC`.
    pub limit: Option<u64>,
    /// A file that all servers of the same volume open, to know of each other; `None`: nothing
    /// but what is heard of changes says whether there are others.
    pub lease: Option<PathBuf>,
    /// It is a volume that is empty for who uses it first.
    pub emptied: Option<Emptied>,
}

/// A directory that is emptied when somebody begins to use it whom nobody else uses it with, and when the
/// last one ends.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Emptied {
    /// A file that all who use it have locked.
    pub users: PathBuf,
    pub top: PathBuf,
    /// What the guest sees of the empty directory.
    pub uid: u32,
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// Returns whom a guest sees as the owner of what belongs to a user and group of the host.
#[cfg(target_os = "linux")]
pub fn guest_owner(uid: u32, gid: u32) -> (u32, u32) {
    owner::Owners::of_process().mapped(uid, gid)
}

/// Returns whom a guest sees as the owner of what belongs to a user and group of the host: its root.
#[cfg(not(target_os = "linux"))]
pub fn guest_owner(_uid: u32, _gid: u32) -> (u32, u32) {
    (0, 0)
}

/// Why shares cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error("cannot open `{}`", .path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` is neither a directory nor a regular file", .0.display())]
    Kind(PathBuf),
    #[error("cannot join the users of a volume by `{}`", .path.display())]
    Lease {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot empty the volume in `{}`", .path.display())]
    Empty {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` has been removed from the host while the guest used it", .0.display())]
    Removed(PathBuf),
    #[error("`{}` is no longer {}", .path.display(), if *.directory { "a directory" } else { "a file" })]
    Changed { path: PathBuf, directory: bool },
    #[error("what is shared is not what was shared then")]
    Others,
    #[error("somebody else has locked `{}`, which the guest had locked", .0.display())]
    Locked(PathBuf),
    #[error("cannot copy what a guest has open")]
    State(#[source] io::Error),
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    #[error("directories can be shared with guests on Linux hosts only")]
    Unsupported,
}

/// Serves shares over the port of one machine until its other end closes, which ends its threads;
/// dropping this does not.
#[derive(Clone, Debug)]
pub struct Server {
    #[cfg(target_os = "linux")]
    inner: std::sync::Arc<server::Server>,
}

#[cfg(target_os = "linux")]
impl Server {
    /// Begins to serve nothing.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn new(port: UnixStream) -> Result<Self, ServeError> {
        server::Server::start(port).map(|inner| Self { inner })
    }

    /// Serves `shares` from now on, whose numbers are their places in the list, and nothing else.
    /// The sources are opened before this returns: what is renamed or mounted over them later makes
    /// no difference.
    ///
    /// # Errors
    /// [`ServeError`]; what was served before still is, then.
    pub fn set(&self, shares: &[Share]) -> Result<(), ServeError> {
        self.inner.set(shares)
    }

    /// Has unix sockets carried by whoever is told what happens to them: called once, before a program
    /// of the guest's runs. `tell` must not wait for the server.
    pub fn carry_sockets(&self, tell: impl Fn(SocketEvent) + Send + Sync + 'static) {
        self.inner.ear().listen(tell);
    }

    /// Answers the guest, which waits because of [`SocketEvent::Wanted`] or
    /// [`SocketEvent::Deserted`]: it has a socket for a file now if it `stands`.
    pub fn settle(&self, share: u32, node: u64, stands: bool) {
        if let Some(session) = self.inner.session(share) {
            for (message, _under_way) in session.sockets.settle(node, stands) {
                self.inner.send(&message);
            }
        }
    }

    /// Says that nobody on the host listens on a socket any more that was [`SocketEvent::Wanted`].
    pub fn desert(&self, share: u32, node: u64) {
        if let Some(session) = self.inner.session(share) {
            session.sockets.desert(node);
        }
    }

    /// Returns the file of a socket that the guest knows, open with `O_PATH`; `None` if it knows no
    /// such file.
    #[must_use]
    pub fn socket(&self, share: u32, node: u64) -> Option<OwnedFd> {
        let node = self.inner.session(share)?.nodes.find(node).ok()?;
        let is_socket = node.kind() == rustix::fs::FileType::Socket;
        rustix::io::fcntl_dupfd_cloexec(node.fd(), 0).ok().filter(|_| is_socket)
    }

    /// Has the server say nothing for as long as what this returns lives; `None` if something is on
    /// its way between it and the guest, which must stand still.
    ///
    /// # Errors
    /// [`ServeError::State`].
    pub fn rest(&self) -> Result<Option<Resting<'_>>, ServeError> {
        Resting::of(&self.inner).map_err(|errno| ServeError::State(errno.into()))
    }

    /// Serves a guest that is a copy of another server's, with the same `shares`. Files are the
    /// same, with the same numbers; locks stay the other guest's, and what waited for one is
    /// interrupted. Call it before the guest goes on: what has changed since `state` was saved it
    /// is told to forget.
    ///
    /// # Errors
    /// [`ServeError`]; what was served before still is, then.
    pub fn restore(&self, shares: &[Share], state: State) -> Result<(), ServeError> {
        self.inner.restore(shares, state)
    }

    /// Serves a guest of another time, with the same `shares` and what it had open of them as far as
    /// that is still there; `deleted` are what [`Resting::record`] said, or copies of that. Files are
    /// found by their paths, and what was renamed since by what else is known of them. The guest
    /// gets `ESTALE` for what has gone, and the locks that it had. Call it before the guest goes on:
    /// it is told to forget all that it believes. Returns the open files that have gone.
    ///
    /// # Errors
    /// [`ServeError`]; what was served before still is, then.
    pub fn restore_record(
        &self,
        shares: &[Share],
        record: &Record,
        deleted: &[OwnedFd],
    ) -> Result<Vec<PathBuf>, ServeError> {
        self.inner.restore_record(shares, record, deleted)
    }
}

/// What there is none of without a server.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub struct Resting<'a>(std::convert::Infallible, std::marker::PhantomData<&'a ()>);

#[cfg(not(target_os = "linux"))]
impl Resting<'_> {
    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub fn save(&self) -> Result<State, ServeError> {
        match self.0 {}
    }

    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub fn record(&self) -> Result<(Record, Vec<Deleted>), ServeError> {
        match self.0 {}
    }
}

#[cfg(not(target_os = "linux"))]
impl Server {
    /// There is no server for this host yet.
    ///
    /// # Errors
    /// [`ServeError::Unsupported`].
    pub fn new(_port: UnixStream) -> Result<Self, ServeError> {
        Err(ServeError::Unsupported)
    }

    /// There is no server for this host yet.
    ///
    /// # Errors
    /// [`ServeError::Unsupported`].
    pub fn set(&self, _shares: &[Share]) -> Result<(), ServeError> {
        Err(ServeError::Unsupported)
    }

    /// Nobody is told of anything.
    pub fn carry_sockets(&self, _tell: impl Fn(SocketEvent) + Send + Sync + 'static) {}

    /// Nobody waits.
    pub fn settle(&self, _share: u32, _node: u64, _stands: bool) {}

    /// There is none.
    pub fn desert(&self, _share: u32, _node: u64) {}

    /// There is none.
    #[must_use]
    pub fn socket(&self, _share: u32, _node: u64) -> Option<OwnedFd> {
        None
    }

    /// There is no server for this host yet.
    ///
    /// # Errors
    /// [`ServeError::Unsupported`].
    pub fn rest(&self) -> Result<Option<Resting<'_>>, ServeError> {
        Err(ServeError::Unsupported)
    }

    /// There is no server for this host yet.
    ///
    /// # Errors
    /// [`ServeError::Unsupported`].
    pub fn restore(&self, _shares: &[Share], _state: State) -> Result<(), ServeError> {
        Err(ServeError::Unsupported)
    }

    /// There is no server for this host yet.
    ///
    /// # Errors
    /// [`ServeError::Unsupported`].
    pub fn restore_record(
        &self,
        _shares: &[Share],
        _record: &Record,
        _deleted: &[OwnedFd],
    ) -> Result<Vec<PathBuf>, ServeError> {
        Err(ServeError::Unsupported)
    }
}
