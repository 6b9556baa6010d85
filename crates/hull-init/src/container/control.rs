//! The socket between the agent and a child that is becoming a process of a container.
//!
//! The child reports `Ready` once only execve(2) is left, waits for the word to go on, and executes;
//! the socket closes by that. Or it reports why it failed, and ends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::failure::Failure;

/// What a child reports.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Report {
    /// Ready to execute; the terminal's master is this descriptor number in the child.
    Ready {
        terminal: Option<i32>,
    },
    Failed(Failure),
    /// The socket is closed: the program runs, or the child was killed.
    Closed,
}

/// Returns the agent's end, which does not block, and the child's, which does.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (agent, child) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::io::ioctl_fionbio(&agent, true)?;
    Ok((agent, child))
}

/// Reads the child's next report; `None` if there is none yet.
pub(crate) fn receive(agent: &OwnedFd) -> Option<Report> {
    let mut buffer = [0; 4096];
    let length = match rustix::net::recv(agent, &mut buffer[..], RecvFlags::empty()) {
        Ok((length, _)) => length,
        Err(Errno::AGAIN | Errno::INTR) => return None,
        Err(_) => 0,
    };
    Some(match buffer[..length] {
        [READY, a, b, c, d] => {
            let number = i32::from_le_bytes([a, b, c, d]);
            Report::Ready { terminal: (number >= 0).then_some(number) }
        }
        [FAILED, ref failure @ ..] => Report::Failed(Failure::decode(failure)),
        _ => Report::Closed,
    })
}

/// Lets the child execute its program.
pub(crate) fn go(agent: &OwnedFd) {
    // A child that is gone already is seen by its end.
    let _ = rustix::net::send(agent, &[GO], SendFlags::NOSIGNAL);
}

/// Child: reports that it is ready and waits for the word to go on; `false` if the agent gave up.
pub(crate) fn ready(child: BorrowedFd<'_>, terminal: Option<i32>) -> bool {
    let mut message = vec![READY];
    message.extend_from_slice(&terminal.unwrap_or(-1).to_le_bytes());
    if rustix::net::send(child, &message, SendFlags::NOSIGNAL).is_err() {
        return false;
    }
    let mut word = [0];
    loop {
        match rustix::net::recv(child.as_fd(), &mut word[..], RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            Ok((1, _)) => return true,
            _ => return false,
        }
    }
}

/// Child: reports why it failed.
pub(crate) fn fail(child: BorrowedFd<'_>, failure: &Failure) {
    let mut message = vec![FAILED];
    message.extend_from_slice(&failure.encode());
    message.truncate(4000);
    let _ = rustix::net::send(child, &message, SendFlags::NOSIGNAL);
}

const READY: u8 = 1;
const FAILED: u8 = 2;
const GO: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_keep_their_boundaries() {
        let (agent, child) = pair().unwrap();
        assert_eq!(receive(&agent), None);
        go(&agent);
        assert!(ready(child.as_fd(), Some(4)));
        let failure = Failure::invalid("no");
        fail(child.as_fd(), &failure);
        drop(child);
        assert_eq!(receive(&agent), Some(Report::Ready { terminal: Some(4) }));
        assert_eq!(receive(&agent), Some(Report::Failed(failure)));
        assert_eq!(receive(&agent), Some(Report::Closed));
    }
}
