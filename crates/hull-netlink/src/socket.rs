//! A socket to the kernel.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

use crate::message::Message;

/// What a socket is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// What sockets there are (sock_diag(7)).
    Diagnostics,
    /// nftables and connection tracking.
    Netfilter,
    /// Interfaces, addresses and routes.
    Route,
}

impl Protocol {
    /// Returns the number that socket(2) wants.
    pub fn number(self) -> u32 {
        match self {
            Self::Diagnostics => netlink::SOCK_DIAG.as_raw().get(),
            Self::Netfilter => netlink::NETFILTER.as_raw().get(),
            Self::Route => 0,
        }
    }
}

/// A socket on which requests are made, one after the other. The kernel answers at once.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Box<[u8]>,
}

/// One message of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub kind: u16,
    /// Header of its kind, and attributes.
    pub payload: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the caller's network namespace.
    ///
    /// # Errors
    /// socket(2).
    pub fn open(protocol: Protocol) -> io::Result<Self> {
        Ok(open(protocol)?.into())
    }

    /// Makes one request and returns what the kernel answers beside the acknowledgement.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn request(&mut self, message: &Message) -> io::Result<Vec<Answer>> {
        self.transact(std::slice::from_ref(message))
    }

    /// Sends `messages` as one and waits for the answers of those that want one.
    ///
    /// # Errors
    /// What the kernel refuses the first of them with.
    pub fn transact(&mut self, messages: &[Message]) -> io::Result<Vec<Answer>> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend(message.finish(self.sequence));
        }
        send(&self.fd, &bytes, SendFlags::empty())?;
        let mut open = messages.iter().filter(|message| message.wants_answer()).count();
        let mut answers = Vec::new();
        while open > 0 {
            let (read, whole) = recv(&self.fd, &mut self.buffer[..], RecvFlags::TRUNC)?;
            if whole > self.buffer.len() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "netlink message too long"));
            }
            for part in Parts(&self.buffer[..read.min(whole)]) {
                // What is left of a request that failed.
                if part.sequence.wrapping_sub(first) >= messages.len() as u32 {
                    continue;
                }
                match part.kind {
                    DONE => open -= 1,
                    ERROR => match number(part.payload, 0) as i32 {
                        0 => open -= 1,
                        error => return Err(io::Error::from_raw_os_error(-error)),
                    },
                    kind => answers.push(Answer { kind, payload: part.payload.to_vec() }),
                }
                if open == 0 {
                    break;
                }
            }
        }
        Ok(answers)
    }
}

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        // That the kernel does not answer would be its fault; a hang must not come of it. Where
        // that cannot be set it is as well.
        let _ = set_socket_timeout(&fd, Timeout::Recv, Some(PATIENCE));
        Self { fd, sequence: 0, buffer: vec![0; BUFFER].into() }
    }
}

/// Hears of changes to interfaces.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Begins to watch the interfaces of the caller's network namespace.
    ///
    /// # Errors
    /// socket(2), bind(2).
    pub fn links() -> io::Result<Self> {
        Self::on(open(Protocol::Route)?)
    }

    /// Begins to watch the interfaces of the network namespace that `fd`, a socket of
    /// [`Protocol::Route`], was opened in.
    ///
    /// # Errors
    /// bind(2).
    pub fn on(fd: OwnedFd) -> io::Result<Self> {
        bind(&fd, &SocketAddrNetlink::new(0, GROUP_LINK))?;
        Ok(Self(fd))
    }

    /// Returns whether something has changed since the last call, without waiting.
    pub fn has_changed(&self) -> bool {
        let mut changed = false;
        let mut buffer = [0; 4096];
        loop {
            match recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                // More has happened than the kernel has kept.
                Ok(_) | Err(Errno::NOBUFS) => changed = true,
                Err(_) => return changed,
            }
        }
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Opens a socket without making requests on it, for somebody else.
///
/// # Errors
/// socket(2).
pub fn open(protocol: Protocol) -> io::Result<OwnedFd> {
    let protocol = match protocol {
        Protocol::Diagnostics => Some(netlink::SOCK_DIAG),
        Protocol::Netfilter => Some(netlink::NETFILTER),
        // Number 0.
        Protocol::Route => None,
    };
    let family = AddressFamily::NETLINK;
    Ok(socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?)
}

struct Part<'a> {
    kind: u16,
    sequence: u32,
    payload: &'a [u8],
}

/// The messages in a datagram.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let header = self.0.get(..HEADER)?;
        let length = number(header, 0) as usize;
        let payload = self.0.get(HEADER..length)?;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let sequence = number(header, 8);
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Part { kind, sequence, payload })
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_ne_bytes)
}

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `NLMSG_ERROR`, also the acknowledgement.
const ERROR: u16 = 2;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// `RTMGRP_LINK`.
const GROUP_LINK: u32 = 1;
/// The kernel fills datagrams of dumps up to the reader's buffer, 32 KiB at most.
const BUFFER: usize = 32 << 10;
const PATIENCE: Duration = Duration::from_secs(5);
