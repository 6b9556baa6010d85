//! Streams of a process.

use std::io;

use bytes::Bytes;
use hull_protocol::{Kind, frame::MAX_DATA};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::control::{Channel, Exit};
use crate::wire::{FrameReader, parse, write_frame};

use super::ClientError;
use super::connection::Connection;

/// Both directions of the streams of a process. Dropping both is the client's disconnect.
#[derive(Debug)]
pub struct Attached {
    pub input: Input,
    pub output: Output,
}

impl Attached {
    pub(super) fn new(connection: Connection) -> Self {
        let input = Input { writer: Some(connection.writer) };
        let output = Output { reader: connection.reader };
        Self { input, output }
    }
}

/// The process's stdin. Dropping it sends no end of file: a client that goes away is not one that
/// has nothing more to say.
#[derive(Debug)]
pub struct Input {
    /// `None` after `eof`.
    writer: Option<OwnedWriteHalf>,
}

impl Input {
    /// Sends all of `bytes`, waiting for the process to read what came before.
    ///
    /// # Errors
    /// Broken pipe if the process has closed its stdin or ended.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let writer = self.writer.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        for piece in bytes.chunks(MAX_DATA) {
            write_frame(writer, Kind::Data, 0, piece).await?;
        }
        Ok(())
    }

    /// Ends stdin.
    ///
    /// # Errors
    /// As [`Input::write`].
    pub async fn eof(&mut self) -> io::Result<()> {
        let writer = self.writer.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        write_frame(writer, Kind::Eof, 0, &[]).await
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // Without this the drop would shut the socket's sending direction down, which the
        // supervisor takes for the client's disconnect though its output is still read.
        if let Some(writer) = self.writer.take() {
            writer.forget();
        }
    }
}

/// The process's output.
#[derive(Debug)]
pub struct Output {
    reader: FrameReader<OwnedReadHalf>,
}

/// One piece of a process's output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    Data(Channel, Bytes),
    /// The process has ended; nothing follows.
    Exit(Exit),
    /// The process has closed its stdin: more input is lost.
    InputClosed,
}

impl Output {
    /// Returns the next piece; `None` if the supervisor let go of this client without an exit
    /// (detached by the end of its input, or the supervisor ended). Cancelling loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Io`].
    pub async fn next(&mut self) -> Result<Option<Piece>, ClientError> {
        loop {
            let frame = match self.reader.next().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(None),
                // It has let go of this client while there was still input on its way.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            return Ok(Some(match frame.kind {
                Kind::Data => match Channel::from_number(frame.stream) {
                    Some(channel) => Piece::Data(channel, frame.payload.into()),
                    None => return Err(ClientError::Unexpected),
                },
                Kind::Eof => continue,
                Kind::Reset => Piece::InputClosed,
                Kind::Event => Piece::Exit(parse(&frame)?),
                _ => return Err(ClientError::Unexpected),
            }));
        }
    }
}
