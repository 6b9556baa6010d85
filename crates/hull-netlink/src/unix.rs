//! Unix sockets that are bound to files (sock_diag(7), `linux/unix_diag.h`).

use std::io;

use rustix::fs::{Dev, major, minor};

use crate::message::{Attributes, Message, flags};
use crate::socket::{Protocol, Socket};

/// A socket that is bound to a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnixSocket {
    /// As the kernel has it, see [`UnixSocket::is_at`].
    device: u32,
    inode: u32,
    /// It is for streams (`SOCK_STREAM`).
    pub is_stream: bool,
    /// Somebody has called listen(2).
    pub listens: bool,
}

impl UnixSocket {
    /// Returns whether the socket is bound to the file with this device and inode. Of inodes, only the
    /// lower 32 bits are known.
    pub fn is_at(&self, device: Dev, inode: u64) -> bool {
        let device = major(device) << MINOR_BITS | minor(device);
        self.device == device && self.inode == inode as u32
    }
}

/// Returns the sockets of the caller's network namespace that are bound to files and not connected.
///
/// # Errors
/// socket(2); the kernel may know no sock_diag.
pub fn bound_to_files() -> io::Result<Vec<UnixSocket>> {
    let states: u32 = 1 << CLOSE | 1 << LISTEN;
    // `struct unix_diag_req`.
    let mut header = [0; 24];
    header[0] = FAMILY;
    header[4..8].copy_from_slice(&states.to_ne_bytes());
    header[12..16].copy_from_slice(&SHOW_FILE.to_ne_bytes());
    let message = Message::new(BY_FAMILY, flags::DUMP, &header);
    let answers = Socket::open(Protocol::Diagnostics)?.request(&message)?;
    Ok(answers.iter().filter_map(|answer| parse(&answer.payload)).collect())
}

/// Reads a `struct unix_diag_msg` and what comes with it.
fn parse(message: &[u8]) -> Option<UnixSocket> {
    let (header, attributes) = message.split_first_chunk::<16>()?;
    let file = Attributes(attributes).find(FILE)?;
    let (inode, device) = (file.first_chunk()?, file.get(4..)?.first_chunk()?);
    Some(UnixSocket {
        device: u32::from_ne_bytes(*device),
        inode: u32::from_ne_bytes(*inode),
        is_stream: header[1] == STREAM,
        listens: header[2] == LISTEN,
    })
}

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `AF_UNIX`.
const FAMILY: u8 = 1;
/// `SOCK_STREAM`.
const STREAM: u8 = 1;
/// `TCP_CLOSE`.
const CLOSE: u8 = 7;
/// `TCP_LISTEN`.
const LISTEN: u8 = 10;
/// `UDIAG_SHOW_VFS`.
const SHOW_FILE: u32 = 2;
/// `UNIX_DIAG_VFS`.
const FILE: u16 = 1;
/// `MINORBITS` of the kernel's own `dev_t`.
const MINOR_BITS: u32 = 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    #[test]
    fn sockets_are_found_by_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let state = |name: &str| {
            let file = std::fs::metadata(dir.path().join(name)).unwrap();
            let all = bound_to_files().unwrap();
            let found = all.into_iter().find(|socket| socket.is_at(file.dev(), file.ino()));
            found.map(|found| (found.is_stream, found.listens))
        };
        let listener = UnixListener::bind(dir.path().join("stream")).unwrap();
        let _messages = UnixDatagram::bind(dir.path().join("messages")).unwrap();
        assert_eq!(state("stream"), Some((true, true)));
        assert_eq!(state("messages"), Some((false, false)));
        drop(listener);
        assert_eq!(state("stream"), None);
    }

    #[test]
    fn what_is_malformed_is_no_socket() {
        for bytes in [&[][..], &[1; 15], &[0; 20], &[8, 0, 1, 0, 1, 0, 0, 0]] {
            assert_eq!(parse(bytes), None);
        }
    }
}
