//! The process in the namespace: opens sockets for the service.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use hull_netlink::{Change, Protocol, Socket};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::packet::{Answer, receive, send};
use super::{SocketKind, enter};

/// What the service asks for.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Ask {
    /// Answered when all is ready.
    Ready,
    Socket(SocketKind),
    Tun,
    Sysctl {
        name: String,
        value: String,
    },
}

/// Enters a new namespace, or those that `namespaces` (a user and a network namespace) say, and
/// serves the process at the other end of `control` until that goes away. The calling process must
/// have one thread.
///
/// # Errors
/// [`DoorError`], which the other end is told, too.
pub fn run(control: OwnedFd, namespaces: Option<[PathBuf; 2]>) -> Result<(), DoorError> {
    let entered = match namespaces {
        Some([user, net]) => enter::join(&user, &net),
        None => enter::make().and_then(|()| set_up().map_err(DoorError::SetUp)),
    };
    if let Err(error) = &entered {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            message.push_str(&format!(": {error}"));
            source = error.source();
        }
        // Nobody is there to ask any more.
        let _ = receive::<Ask>(control.as_fd());
        let _ = send(control.as_fd(), &Answer::Refused(message), None);
    }
    entered?;
    while let Some((ask, _)) = receive::<Ask>(control.as_fd()).map_err(DoorError::Control)? {
        let (answer, fd) = match answer(ask) {
            Ok(fd) => (Answer::Done, fd),
            Err(error) => (Answer::Failed(error.raw_os_error().unwrap_or(libc::EINVAL)), None),
        };
        let fd = fd.as_ref().map(AsFd::as_fd);
        send(control.as_fd(), &answer, fd).map_err(DoorError::Control)?;
    }
    // The service was killed (it ends its door itself): the next one finds the namespace here.
    std::thread::sleep(LINGER);
    Ok(())
}

/// Why the process in the namespace ends.
#[derive(Debug, Error)]
pub enum DoorError {
    #[error("talking to the network service failed")]
    Control(#[source] io::Error),
    #[error("cannot enter the namespace `{}`", .path.display())]
    Join {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot make a network namespace")]
    Make(#[source] io::Error),
    #[error("cannot map the user into a user namespace")]
    Map(#[source] io::Error),
    #[error("cannot set up a network namespace")]
    SetUp(#[source] io::Error),
}

fn answer(ask: Ask) -> io::Result<Option<OwnedFd>> {
    match ask {
        Ask::Ready => Ok(None),
        Ask::Socket(kind) => open(kind).map(Some),
        Ask::Tun => {
            let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
            Ok(Some(file.into()))
        }
        Ask::Sysctl { name, value } => set(&name, &value).map(|()| None),
    }
}

fn open(kind: SocketKind) -> io::Result<OwnedFd> {
    let (family, kind, protocol) = match kind {
        SocketKind::Netlink(number) => {
            let protocol = match number {
                0 => Protocol::Route,
                _ => Protocol::Netfilter,
            };
            return hull_netlink::open(protocol);
        }
        SocketKind::TcpV4 => (AddressFamily::INET, SocketType::STREAM, ipproto::TCP),
        SocketKind::TcpV6 => (AddressFamily::INET6, SocketType::STREAM, ipproto::TCP),
        SocketKind::UdpV4 => (AddressFamily::INET, SocketType::DGRAM, ipproto::UDP),
        SocketKind::UdpV6 => (AddressFamily::INET6, SocketType::DGRAM, ipproto::UDP),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family, kind, flags, Some(protocol))?)
}

/// Sets a kernel parameter.
fn set(name: &str, value: &str) -> io::Result<()> {
    let name = Path::new(name);
    if !name.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let path = Path::new("/proc/sys/net").join(name);
    File::options().write(true).open(path)?.write_all(value.as_bytes())
}

/// What a new namespace needs before anything else.
fn set_up() -> io::Result<()> {
    let mut socket = Socket::open(Protocol::Route)?;
    if let Some(link) = socket.link("lo")? {
        socket.change_link(link.index, Change { up: Some(true), ..Change::default() })?;
    }
    // Taps and bridges have only the addresses that they are given. A kernel without IPv6 has no
    // such file, and needs none.
    match set("ipv6/conf/default/disable_ipv6", "1") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Longer than it takes to start a service.
const LINGER: Duration = Duration::from_secs(5);
