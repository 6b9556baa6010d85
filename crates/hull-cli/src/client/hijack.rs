//! Raw connections: attach and exec.

use std::io::ErrorKind;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::{Client, ClientError, full, request};

/// Both directions of a connection that is HTTP no more.
#[derive(Debug)]
pub(crate) struct Hijacked {
    pub(crate) reader: Reader,
    /// Shutting it down ends the input of the other side.
    pub(crate) writer: OwnedWriteHalf,
}

/// What comes on a raw connection.
#[derive(Debug)]
pub(crate) struct Reader {
    early: Bytes,
    stream: OwnedReadHalf,
}

impl Reader {
    /// Returns the next bytes; empty at the end.
    pub(crate) async fn next(&mut self) -> std::io::Result<Bytes> {
        if !self.early.is_empty() {
            return Ok(std::mem::take(&mut self.early));
        }
        let mut buffer = BytesMut::with_capacity(BUFFER);
        match self.stream.read_buf(&mut buffer).await {
            Ok(_) => Ok(buffer.freeze()),
            // The other side closed without reading all that was sent to it.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(Bytes::new()),
            Err(error) => Err(error),
        }
    }
}

impl Client<'_> {
    /// Asks for a raw connection.
    pub(crate) async fn hijack(
        &self,
        path: &str,
        body: Option<Value>,
    ) -> Result<Hijacked, ClientError> {
        let make = || {
            let request = request(Method::POST, path)
                .header(header::CONNECTION, "Upgrade")
                .header(header::UPGRADE, "tcp");
            match &body {
                Some(value) => request
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(full(value.to_string())),
                None => request.body(full("")),
            }
        };
        let response = self.ask(make).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ClientError::answer(response.status(), b"unable to upgrade to tcp"));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(ClientError::Http)?;
        let Ok(parts) = upgraded.downcast::<TokioIo<UnixStream>>() else {
            return Err(ClientError::answer(StatusCode::SWITCHING_PROTOCOLS, b"not a socket"));
        };
        let (stream, writer) = parts.io.into_inner().into_split();
        Ok(Hijacked { reader: Reader { early: parts.read_buf, stream }, writer })
    }
}

const BUFFER: usize = 32 << 10;
