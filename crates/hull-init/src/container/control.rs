//! The socket between the agent and a child that is becoming a process of a container.
//!
//! A child that is forked ahead of any request reports `Staged`, and is handed the request and the
//! root by messages with descriptors. Then, as every child, it reports `Ready` once only execve(2) is left, waits for the word to go on, and executes;
//! the socket closes by that. Or it reports why it failed, and ends.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::failure::Failure;

/// What a child reports.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Report {
    /// Ready to execute; the terminal's master is this descriptor number in the child.
    Ready {
        terminal: Option<i32>,
    },
    Failed(Failure),
    /// A container made ahead waits to be told what it is.
    Staged,
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
    let length = loop {
        match rustix::net::recv(agent, &mut buffer[..], RecvFlags::empty()) {
            Ok((length, _)) => break length,
            Err(Errno::AGAIN | Errno::INTR) => return None,
            // It ended without reading all that it was sent. What it sent itself comes after that.
            Err(Errno::CONNRESET) => {}
            Err(_) => break 0,
        }
    };
    Some(match buffer[..length] {
        [READY, a, b, c, d] => {
            let number = i32::from_le_bytes([a, b, c, d]);
            Report::Ready { terminal: (number >= 0).then_some(number) }
        }
        [FAILED, ref failure @ ..] => Report::Failed(Failure::decode(failure)),
        [STAGED] => Report::Staged,
        _ => Report::Closed,
    })
}

/// Waits for the child's next report for at most `patience`.
pub(crate) fn wait(agent: &OwnedFd, patience: Duration) -> Option<Report> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(report) = receive(agent) {
            return Some(report);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let _ = poll(&mut [PollFd::new(agent, PollFlags::IN)], Some(&left));
    }
}

/// Sends the child a message of two parts, and descriptors with it.
pub(crate) fn hand(
    agent: &OwnedFd,
    head: &[u8],
    body: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG);
    }
    let parts = [IoSlice::new(head), IoSlice::new(body)];
    rustix::net::sendmsg(agent, &parts, &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

/// Child: waits for a message of [`hand`] and puts it into `buffer`; `None` if the agent gave up.
pub(crate) fn take(child: &OwnedFd, buffer: &mut [u8]) -> Option<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let parts = &mut [IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(child, parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other.ok()?,
        }
    };
    if received.bytes == 0 || received.flags.contains(ReturnFlags::TRUNC) {
        return None;
    }
    let mut fds = Vec::with_capacity(MAX_FDS);
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Some((received.bytes, fds))
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

/// Child: reports that it waits for what it is to become.
pub(crate) fn staged(child: &OwnedFd) -> Result<()> {
    rustix::net::send(child, &[STAGED], SendFlags::NOSIGNAL).map(drop)
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
const STAGED: u8 = 4;

/// Longest message of [`hand`], in bytes. What is longer is for a container made in the usual way.
pub(crate) const MAX_MESSAGE: usize = 64 << 10;
/// Root and shares: `SCM_MAX_FD` of the kernel is not much more.
const MAX_FDS: usize = 1 + MAX_SHARES;
/// Most shares that a container made ahead can be given.
pub(crate) const MAX_SHARES: usize = 200;

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

    #[test]
    fn descriptors_go_with_their_message() {
        let (agent, child) = pair().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        hand(&agent, &[1], b"body", &[write.as_fd()]).unwrap();
        hand(&agent, &[2], &[], &[]).unwrap();
        hand(&agent, &[0; 9], &[], &[]).unwrap();
        drop((agent, write));
        let mut buffer = [0; 8];
        let (length, fds) = take(&child, &mut buffer).unwrap();
        assert_eq!((&buffer[..length], fds.len()), (&b"\x01body"[..], 1));
        rustix::io::write(&fds[0], b"x").unwrap();
        assert_eq!(rustix::io::read(&read, &mut buffer), Ok(1));
        assert_eq!(take(&child, &mut buffer).unwrap().0, 1);
        // Too long, then the end.
        assert!(take(&child, &mut buffer).is_none());
        assert!(take(&child, &mut buffer).is_none());
    }

    #[test]
    fn a_child_that_does_not_listen_is_heard() {
        let (agent, child) = pair().unwrap();
        hand(&agent, &[1], &[], &[]).unwrap();
        let failure = Failure::invalid("no");
        fail(child.as_fd(), &failure);
        drop(child);
        assert_eq!(receive(&agent), Some(Report::Failed(failure)));
        assert_eq!(receive(&agent), Some(Report::Closed));
    }

    #[test]
    fn waiting_ends() {
        let (agent, child) = pair().unwrap();
        assert_eq!(wait(&agent, Duration::from_millis(1)), None);
        staged(&child).unwrap();
        assert_eq!(wait(&agent, Duration::from_secs(5)), Some(Report::Staged));
    }
}
