//! The network namespace of a state directory, and the process that is in it.

mod door;
mod enter;
mod packet;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hull_netlink::{Protocol, Socket};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use thiserror::Error;

pub use door::{DoorError, run as run_door};

use door::Ask;

/// A network namespace. It lives for as long as somebody holds it: this value, the process inside,
/// or a machine with an interface in it.
#[derive(Debug)]
pub struct Namespace {
    program: PathBuf,
    home: PathBuf,
    door: Door,
    /// The user namespace that owns it, and itself.
    handles: [File; 2],
}

#[derive(Debug)]
struct Door {
    process: Child,
    control: OwnedFd,
}

impl Drop for Door {
    fn drop(&mut self) {
        // It holds nothing that is not held here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Namespace {
    /// Makes a namespace, or joins the one that `previous` (paths of a user and of a network
    /// namespace) says. `<program> network-door <home> ..` is run inside.
    ///
    /// # Errors
    /// [`NamespaceError`].
    pub fn open(
        program: &Path,
        home: &Path,
        previous: Option<[PathBuf; 2]>,
    ) -> Result<Self, NamespaceError> {
        let door = Door::open(program, home, previous.as_ref().map(|paths| paths.as_slice()))?;
        let of = |kind| format!("/proc/{}/ns/{kind}", door.process.id());
        let handle = |kind| File::open(of(kind)).map_err(NamespaceError::Handle);
        let handles = [handle("user")?, handle("net")?];
        Ok(Self { program: program.to_owned(), home: home.to_owned(), door, handles })
    }

    /// Returns the process inside.
    pub fn pid(&self) -> u32 {
        self.door.process.id()
    }

    /// Returns paths of the user and the network namespace that are good for as long as this is.
    pub fn paths(&self) -> [PathBuf; 2] {
        let own = std::process::id();
        [&self.handles[0], &self.handles[1]]
            .map(|handle| format!("/proc/{own}/fd/{}", handle.as_raw_fd()).into())
    }

    /// Returns descriptors of the user and the network namespace, which keep them.
    ///
    /// # Errors
    /// Descriptors have run out.
    pub fn handles(&self) -> io::Result<[OwnedFd; 2]> {
        let [user, net] = &self.handles;
        Ok([user.try_clone()?.into(), net.try_clone()?.into()])
    }

    /// Returns paths of the user and the network namespace for a process that has given up its
    /// privileges: those of the process inside, which has no more.
    ///
    /// # Errors
    /// The process inside is gone and cannot be brought back.
    pub fn inside(&mut self) -> io::Result<[PathBuf; 2]> {
        self.ask(&Ask::Ready)?;
        let directory = PathBuf::from(format!("/proc/{}/ns", self.pid()));
        Ok([directory.join("user"), directory.join("net")])
    }

    /// Opens a socket in the namespace.
    ///
    /// # Errors
    /// socket(2), or the process inside is gone and cannot be brought back.
    pub fn socket(&mut self, kind: SocketKind) -> io::Result<OwnedFd> {
        self.ask(&Ask::Socket(kind))?.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Opens a netlink socket in the namespace.
    ///
    /// # Errors
    /// As [`Namespace::socket`].
    pub fn netlink(&mut self, protocol: Protocol) -> io::Result<Socket> {
        Ok(self.socket(SocketKind::Netlink(protocol.number()))?.into())
    }

    /// Opens the device that makes taps in the namespace.
    ///
    /// # Errors
    /// As [`Namespace::socket`]; the host has no `/dev/net/tun` that the user may open.
    pub fn tun(&mut self) -> io::Result<OwnedFd> {
        self.ask(&Ask::Tun)?.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Sets a kernel parameter of the namespace, `name` below `/proc/sys/net`.
    ///
    /// # Errors
    /// There is no such parameter, or the value is no good.
    pub fn sysctl(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.ask(&Ask::Sysctl { name: name.to_owned(), value: value.to_owned() }).map(drop)
    }

    fn ask(&mut self, ask: &Ask) -> io::Result<Option<OwnedFd>> {
        match packet::ask(&self.door.control, ask) {
            Err(packet::AskError::Lost(error)) => {
                tracing::warn!(%error, "the process in the network namespace has gone: another one");
                let paths = self.paths();
                self.door = Door::open(&self.program, &self.home, Some(&paths))
                    .map_err(io::Error::other)?;
                packet::ask(&self.door.control, ask).map_err(packet::AskError::into)
            }
            other => other.map_err(packet::AskError::into),
        }
    }
}

impl Door {
    fn open(
        program: &Path,
        home: &Path,
        namespaces: Option<&[PathBuf]>,
    ) -> Result<Self, NamespaceError> {
        let fail = NamespaceError::Spawn;
        let (control, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|errno| fail(errno.into()))?;
        let process = Command::new(program)
            .arg("network-door")
            .arg(home)
            .args(namespaces.unwrap_or_default())
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(fail)?;
        let door = Self { process, control };
        match packet::ask(&door.control, &Ask::Ready) {
            Ok(_) => Ok(door),
            Err(packet::AskError::Refused(message)) => Err(NamespaceError::Refused(message)),
            Err(error) => Err(NamespaceError::Spawn(error.into())),
        }
    }
}

/// A socket to be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub enum SocketKind {
    /// With the number of the protocol.
    Netlink(u32),
    TcpV4,
    TcpV6,
    UdpV4,
    UdpV6,
}

/// Why there is no namespace.
#[derive(Debug, Error)]
pub enum NamespaceError {
    #[error("cannot open the network namespace")]
    Handle(#[source] io::Error),
    /// In words for the user.
    #[error("{0}")]
    Refused(String),
    #[error("cannot start a process in a network namespace")]
    Spawn(#[source] io::Error),
}
