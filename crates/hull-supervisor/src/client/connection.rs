//! One connection to a supervisor.

use std::io;
use std::path::Path;

use hull_protocol::{Frame, Kind};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::control::{Answer, Answered, Operation};
use crate::paths;
use crate::wire::{FrameReader, parse, write_json};
use hull_socket::Address;

use super::ClientError;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) reader: FrameReader<OwnedReadHalf>,
    pub(super) writer: OwnedWriteHalf,
}

impl Connection {
    pub(super) async fn open(dir: &Path) -> Result<Self, ClientError> {
        let address = Address::new(dir, paths::SOCKET).map_err(ClientError::Connect)?;
        let stream = UnixStream::connect(address.path()).await.map_err(ClientError::Connect)?;
        Ok(Self::new(stream))
    }

    pub(super) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: FrameReader::new(reader), writer }
    }

    /// Sends `operation` and returns its answer.
    pub(super) async fn ask(&mut self, operation: &Operation) -> Result<Answered, ClientError> {
        self.send(operation).await?;
        self.answer().await
    }

    pub(super) async fn send(&mut self, operation: &Operation) -> Result<(), ClientError> {
        Ok(write_json(&mut self.writer, Kind::Request, operation).await?)
    }

    pub(super) async fn answer(&mut self) -> Result<Answered, ClientError> {
        let frame = self.frame().await?;
        if frame.kind != Kind::Response {
            return Err(ClientError::Unexpected);
        }
        match parse(&frame)? {
            Answer::Ok(answered) => Ok(answered),
            Answer::Error(failure) => Err(failure.into()),
        }
    }

    pub(super) async fn frame(&mut self) -> Result<Frame, ClientError> {
        match self.reader.next().await {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(ClientError::Gone),
            // It has ended without reading all that it was sent.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(ClientError::Gone),
            Err(error) => Err(error.into()),
        }
    }
}
