//! The agent's only way to wait: one level-triggered epoll instance.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, Result};

/// Who waits for a descriptor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Token {
    Channel,
    Signals,
    /// Output stream (guest to host), by its number.
    Output(u32),
    /// Input stream (host to guest), by its number.
    Input(u32),
    /// Control socket of a child, by the child's key.
    Child(u32),
    /// `memory.events` of a container, by the container's key.
    Memory(u32),
    /// `cgroup.events` of a container, by the container's key.
    Cgroup(u32),
    /// Changes to network interfaces.
    Links,
    /// Socket of the host that a container has, by the listener's key.
    Listener(u32),
}

#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll })
    }

    pub(crate) fn add(&self, fd: impl AsFd, token: Token, interest: EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, encode(token), interest)
    }

    pub(crate) fn modify(&self, fd: impl AsFd, token: Token, interest: EventFlags) -> Result<()> {
        epoll::modify(&self.epoll, fd, encode(token), interest)
    }

    pub(crate) fn remove(&self, fd: impl AsFd) {
        // Only fails for a descriptor that was never added.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits for at most `timeout_ms`, for ever if there is none.
    pub(crate) fn wait(&self, timeout_ms: Option<u32>) -> Vec<(Token, EventFlags)> {
        let timeout = timeout_ms.map(|ms| Timespec {
            tv_sec: i64::from(ms / 1000),
            tv_nsec: i64::from(ms % 1000) * 1_000_000,
        });
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 32];
        match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok(count) => events[..count]
                .iter()
                .filter_map(|event| Some((decode(event.data.u64())?, event.flags)))
                .collect(),
            Err(Errno::INTR) => Vec::new(),
            Err(errno) => panic!("epoll_wait: {errno}"),
        }
    }
}

fn encode(token: Token) -> EventData {
    let (kind, number) = match token {
        Token::Channel => (0, 0),
        Token::Signals => (1, 0),
        Token::Output(stream) => (2, stream),
        Token::Input(stream) => (3, stream),
        Token::Child(key) => (4, key),
        Token::Memory(key) => (5, key),
        Token::Cgroup(key) => (6, key),
        Token::Links => (7, 0),
        Token::Listener(key) => (8, key),
    };
    EventData::new_u64(kind << 32 | u64::from(number))
}

fn decode(data: u64) -> Option<Token> {
    let number = data as u32;
    Some(match data >> 32 {
        0 => Token::Channel,
        1 => Token::Signals,
        2 => Token::Output(number),
        3 => Token::Input(number),
        4 => Token::Child(number),
        5 => Token::Memory(number),
        6 => Token::Cgroup(number),
        7 => Token::Links,
        8 => Token::Listener(number),
        _ => return None,
    })
}
