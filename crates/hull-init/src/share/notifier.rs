//! The process that tells file systems what to forget.
//!
//! The kernel does that under locks which may be held by somebody who waits for an answer. The
//! relay brings those answers: so it must not wait itself.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result, write};
use rustix::net::RecvFlags;

use crate::container::control;
use crate::sys::{self, Fork};

/// The process, as the relay has it.
pub(super) struct Notifier {
    socket: OwnedFd,
    /// What the process has not taken yet: messages, and file systems with their number.
    pending: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

impl Notifier {
    /// Starts the process; `port` is for the relay alone.
    pub(super) fn start() -> Result<Self> {
        let (socket, notifier) = control::pair()?;
        match sys::clone3(0, None)? {
            Fork::Child => run(&notifier),
            Fork::Parent { .. } => Ok(Self { socket, pending: VecDeque::new() }),
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Gives it the file system `number`; returns as [`Self::flush`].
    pub(super) fn admit(&mut self, number: u32, device: &OwnedFd) -> Result<bool> {
        let device = rustix::io::fcntl_dupfd_cloexec(device, 0)?;
        self.pending.push_back((number.to_le_bytes().into(), Some(device)));
        Ok(self.flush())
    }

    /// Passes a message of the host on, the number of its file system included; returns as
    /// [`Self::flush`].
    pub(super) fn pass(&mut self, message: &[u8]) -> bool {
        self.pending.push_back((message.to_vec(), None));
        self.flush()
    }

    /// Whether something waits until the socket has room.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns the number of a barrier that the process has come to, if there is one.
    pub(super) fn barrier(&self) -> Option<[u8; 4]> {
        let mut message = [0; 16];
        let read = rustix::net::recv(&self.socket, &mut message[..], RecvFlags::DONTWAIT);
        // `struct fuse_out_header`: the length, then the code.
        matches!(read, Ok((16, _))).then(|| [message[4], message[5], message[6], message[7]])
    }

    /// Passes on what waits; `false`: some has to wait until the socket has room.
    pub(super) fn flush(&mut self) -> bool {
        while let Some((message, device)) = self.pending.front() {
            let devices: Vec<_> = device.iter().map(OwnedFd::as_fd).collect();
            match control::hand(&self.socket, message, &[], &devices) {
                Err(Errno::AGAIN) => return false,
                Err(Errno::INTR) => continue,
                // Nobody forgets anything any more. What is heard by nobody is old after seconds.
                Err(_) | Ok(()) => {}
            }
            self.pending.pop_front();
        }
        true
    }
}

/// The number of no file system: a message with it is given back when it is its turn (see `hull-share`,
/// `wire.rs`).
pub(super) const BARRIER: u32 = u32::MAX;

/// Runs in the child, until the relay ends.
fn run(socket: &OwnedFd) -> ! {
    let mut devices = BTreeMap::new();
    let mut buffer = vec![0; MESSAGE];
    let _ = sys::close_except(&[socket.as_fd()]);
    while let Some((length, mut fds)) = control::take(socket, &mut buffer) {
        let Some((number, message)) = buffer[..length].split_first_chunk::<4>() else {
            continue;
        };
        let number = u32::from_le_bytes(*number);
        if number == BARRIER {
            // All that came before has been done. The relay is never that far behind.
            let _ = write(socket, message);
        } else if let Some(device) = fds.pop() {
            devices.insert(number, device);
        } else if let Some(device) = devices.get(&number)
            && let Err(Errno::NODEV) = write::<&OwnedFd>(device, message)
        {
            // Unmounted.
            devices.remove(&number);
        }
    }
    sys::exit_now(0)
}

/// Longest message, in bytes: numbers and a name.
const MESSAGE: usize = 1024;
