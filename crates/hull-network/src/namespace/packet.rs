//! Questions and answers between service and door: one packet each, a descriptor with some.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_socket::descriptors;
use serde::{Deserialize, Serialize};

use super::door::Ask;

/// What the door answers beside a descriptor.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Answer {
    Done,
    /// An error number.
    Failed(i32),
    /// In words for the user.
    Refused(String),
}

#[derive(Debug)]
pub(super) enum AskError {
    /// The door has gone.
    Lost(io::Error),
    Failed(io::Error),
    Refused(String),
}

impl From<AskError> for io::Error {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Lost(error) | AskError::Failed(error) => error,
            AskError::Refused(message) => Self::other(message),
        }
    }
}

/// Asks the door at the other end of `control` and waits for its answer.
pub(super) fn ask(control: &OwnedFd, ask: &Ask) -> Result<Option<OwnedFd>, AskError> {
    send(control.as_fd(), ask, None).map_err(AskError::Lost)?;
    let answer = receive(control.as_fd()).map_err(AskError::Lost)?;
    let Some((answer, fd)) = answer else {
        return Err(AskError::Lost(io::ErrorKind::UnexpectedEof.into()));
    };
    match answer {
        Answer::Done => Ok(fd),
        Answer::Failed(errno) => Err(AskError::Failed(io::Error::from_raw_os_error(errno))),
        Answer::Refused(message) => Err(AskError::Refused(message)),
    }
}

/// Sends `message`, and `fd` with it.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    fd: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
    descriptors::send(socket, &bytes, &fds).map(drop)
}

/// Receives a message, and the descriptor that came with it; `None` if the other end has gone.
pub(super) fn receive<T: for<'de> Deserialize<'de>>(
    socket: BorrowedFd<'_>,
) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let (mut bytes, mut fds) = ([0; MOST], Vec::new());
    let read = descriptors::receive(socket, &mut bytes, &mut fds)?;
    if read == 0 {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&bytes[..read])?, fds.pop())))
}

/// Bytes of the longest packet.
const MOST: usize = 4096;
