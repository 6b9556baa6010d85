//! Files into and out of a container.

use std::io;

use bytes::Bytes;
use hull_protocol::{Kind, frame::MAX_DATA};

use crate::control::Answer;
use crate::wire::{parse, write_frame};

use super::ClientError;
use super::connection::Connection;

/// An archive on its way into a container.
#[derive(Debug)]
pub struct CopyIn {
    connection: Connection,
}

impl CopyIn {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Sends a part of the archive.
    ///
    /// # Errors
    /// If the supervisor reads no more; [`CopyIn::finish`] then tells why.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(MAX_DATA) {
            write_frame(&mut self.connection.writer, Kind::Data, 0, piece).await?;
        }
        Ok(())
    }

    /// Ends the archive and waits until all of it has been extracted.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the guest's reason.
    pub async fn finish(mut self) -> Result<(), ClientError> {
        // If the supervisor has refused the archive, its answer says more than a broken pipe.
        let _ = write_frame(&mut self.connection.writer, Kind::Eof, 0, &[]).await;
        self.connection.answer().await.map(drop)
    }
}

/// A part of a container's files on its way out.
#[derive(Debug)]
pub struct CopyOut {
    connection: Connection,
    ended: bool,
}

impl CopyOut {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, ended: false }
    }

    /// Returns the next piece, `None` when it is whole.
    ///
    /// # Errors
    /// [`ClientError::Failed`] if the guest could not read all of it; what came before is then not
    /// whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let frame = self.connection.frame().await?;
            match frame.kind {
                Kind::Data => return Ok(Some(frame.payload.into())),
                Kind::Eof => {}
                Kind::Event => {
                    self.ended = true;
                    return match parse(&frame)? {
                        Answer::Ok(_) => Ok(None),
                        Answer::Error(failure) => Err(failure.into()),
                    };
                }
                _ => return Err(ClientError::Unexpected),
            }
        }
    }
}
