//! Lines of JSON with descriptors, over a unix socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use hull_socket::descriptors;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use crate::protocol::LONGEST;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: UnixStream,
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Wire {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, bytes: Vec::new(), fds: Vec::new() }
    }

    /// Returns the connection, for looking at it.
    #[cfg(target_os = "linux")]
    pub(crate) fn connection(&self) -> io::Result<OwnedFd> {
        self.stream.as_fd().try_clone_to_owned()
    }

    /// Sends a message with descriptors.
    pub(crate) async fn send(
        &mut self,
        message: &impl Serialize,
        fds: &[OwnedFd],
    ) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let sent = if fds.is_empty() {
            0
        } else {
            let stream = &self.stream;
            stream.async_io(Interest::WRITABLE, || send_with(stream, &line, fds)).await?
        };
        self.stream.write_all(&line[sent..]).await
    }

    /// Returns the next message and the descriptors that came with it; `None` if the other end has
    /// closed the connection. Cancelling it loses nothing.
    pub(crate) async fn receive<T: DeserializeOwned>(
        &mut self,
    ) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let message = serde_json::from_slice(&self.bytes[..end])?;
                self.bytes.drain(..=end);
                return Ok(Some((message, std::mem::take(&mut self.fds))));
            }
            if self.bytes.len() > LONGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let (stream, bytes, fds) = (&self.stream, &mut self.bytes, &mut self.fds);
            let read = stream.async_io(Interest::READABLE, || receive_with(stream, bytes, fds));
            if read.await? == 0 {
                return Ok(None);
            }
        }
    }
}

fn send_with(stream: &UnixStream, line: &[u8], fds: &[OwnedFd]) -> io::Result<usize> {
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    descriptors::send(stream, line, &fds)
}

fn receive_with(
    stream: &UnixStream,
    bytes: &mut Vec<u8>,
    fds: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut buffer = [0; 8192];
    let read = descriptors::receive(stream, &mut buffer, fds)?;
    bytes.extend_from_slice(&buffer[..read]);
    Ok(read)
}
