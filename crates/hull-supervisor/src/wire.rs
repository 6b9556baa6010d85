//! Frames over an asynchronous byte stream.

use std::io;

use hull_protocol::{Decoder, Frame, Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Reads frames.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    inner: R,
    decoder: Decoder,
    buffer: Box<[u8]>,
}

impl<R> FrameReader<R> {
    pub(crate) fn inner(&self) -> &R {
        &self.inner
    }
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, decoder: Decoder::default(), buffer: vec![0; READ_SIZE].into() }
    }

    /// Returns the next frame, `None` at the end of the stream. Cancelling it loses nothing.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(invalid)? {
                return Ok(Some(frame));
            }
            let read = self.inner.read(&mut self.buffer).await?;
            if read == 0 {
                return Ok(None);
            }
            self.decoder.extend(&self.buffer[..read]);
        }
    }
}

/// Writes one frame.
pub(crate) async fn write_frame(
    writer: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    stream: u32,
    payload: &[u8],
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(hull_protocol::frame::HEADER_LEN + payload.len());
    bytes.extend_from_slice(&Frame::header(kind, stream, payload.len()));
    bytes.extend_from_slice(payload);
    writer.write_all(&bytes).await
}

/// Writes `message` as the payload of one frame.
pub(crate) async fn write_json(
    writer: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    message: &impl Serialize,
) -> io::Result<()> {
    let payload = serde_json::to_vec(message).map_err(invalid)?;
    if payload.len() > hull_protocol::MAX_PAYLOAD {
        return Err(invalid("message is too long"));
    }
    write_frame(writer, kind, 0, &payload).await
}

/// Reads the payload of `frame` as a message.
pub(crate) fn parse<T: DeserializeOwned>(frame: &Frame) -> io::Result<T> {
    serde_json::from_slice(&frame.payload).map_err(invalid)
}

pub(crate) fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

const READ_SIZE: usize = 16 << 10;
