//! Connects the standard streams of a process with a client's raw connection.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use hull_engine::{Attached, Channel, Input, Output};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::connection::Hijacker;
use crate::error::ApiError;
use crate::frame;
use crate::version::Version;

/// How a client asked for a raw connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handover {
    /// Status 101 and not 200.
    upgrade: bool,
    /// The client knows the media type of multiplexed streams.
    knows_multiplexed: bool,
}

impl Handover {
    pub(crate) fn of(headers: &HeaderMap, version: Version) -> Self {
        Self {
            upgrade: headers.contains_key(header::UPGRADE),
            knows_multiplexed: version >= Version::new(1, 42),
        }
    }

    /// Answers the request and connects the client until the process's output ends, the client
    /// goes away or detaches.
    pub(crate) async fn connect(self, hijacker: Hijacker, attached: Attached) -> Response {
        let head = self.head(attached.tty);
        hijacker.take(move |stream, early| run(stream, head, early, attached)).await;
        // Only reached if the connection was taken over before, which a request cannot ask twice.
        ApiError::bad_request("the connection is already in use").into_response()
    }

    /// Answers the request and sends the client one message on standard output.
    pub(crate) async fn say(self, hijacker: Hijacker, tty: bool, message: String) -> Response {
        let mut answer = self.head(tty).into_bytes();
        if !tty {
            answer.extend_from_slice(&frame::header(Channel::Stdout, message.len()));
        }
        answer.extend_from_slice(message.as_bytes());
        hijacker
            .take(|mut stream, _| async move {
                // A client that has gone away misses it.
                let _ = stream.write_all(&answer).await;
            })
            .await;
        ApiError::bad_request("the connection is already in use").into_response()
    }

    fn head(self, tty: bool) -> String {
        let kind = if !tty && self.knows_multiplexed {
            "application/vnd.docker.multiplexed-stream"
        } else {
            "application/vnd.docker.raw-stream"
        };
        if self.upgrade {
            format!(
                "HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\n\
                 Upgrade: tcp\r\n\r\n"
            )
        } else {
            format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n")
        }
    }
}

async fn run(stream: UnixStream, head: String, early: Bytes, attached: Attached) {
    let (mut reader, mut writer) = stream.into_split();
    if writer.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let Attached { input, output, tty, .. } = attached;
    let draining = drain(output, writer, tty);
    tokio::select! {
        // The end of the output ends the connection, whether or not there is more input.
        () = draining => {}
        // The end of the input does not: this future stays pending then.
        () = feed(&mut reader, early, input) => return,
    }
    // A socket closed with input unread looks broken to the client, not ended.
    let _ = tokio::time::timeout(LINGER, take(&mut reader)).await;
}

/// Passes on what the client sends. Ends only if the client's connection breaks.
async fn feed(reader: &mut OwnedReadHalf, early: Bytes, input: Option<Input>) {
    let Some(mut input) = input else {
        // What a client sends to a process without standard input goes nowhere, but must be
        // taken, or the client would wait for ever to send it.
        return discard(reader).await;
    };
    let mut next = early;
    loop {
        if !next.is_empty() && input.send(next).await.is_err() {
            return discard(reader).await;
        }
        let mut buffer = BytesMut::with_capacity(BUFFER);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => {
                input.finish().await;
                return std::future::pending().await;
            }
            Ok(_) => next = buffer.freeze(),
            Err(error) => {
                tracing::debug!("client went away: {error}");
                return;
            }
        }
    }
}

/// Reads to nowhere. Ends only if the client's connection breaks.
async fn discard(reader: &mut OwnedReadHalf) {
    if take(reader).await.is_ok() {
        std::future::pending().await
    }
}

/// Reads to nowhere until the client has no more.
async fn take(reader: &mut OwnedReadHalf) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    while reader.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Passes on what the process writes, until it ends or the client reads no more.
async fn drain(mut output: Output, mut writer: OwnedWriteHalf, tty: bool) {
    while let Some(chunk) = output.next().await {
        let written = if tty {
            writer.write_all(&chunk.data).await
        } else {
            let header = frame::header(chunk.channel, chunk.data.len());
            write_both(&mut writer, &header, &chunk.data).await
        };
        if let Err(error) = written {
            tracing::debug!("client went away: {error}");
            return;
        }
    }
    let _ = writer.shutdown().await;
}

/// Writes header and data with one system call where the socket takes both.
async fn write_both(
    writer: &mut OwnedWriteHalf,
    header: &[u8],
    data: &[u8],
) -> std::io::Result<()> {
    let slices = [std::io::IoSlice::new(header), std::io::IoSlice::new(data)];
    let written = writer.write_vectored(&slices).await?;
    if written < header.len() {
        writer.write_all(&header[written..]).await?;
        writer.write_all(data).await
    } else {
        writer.write_all(&data[written - header.len()..]).await
    }
}

const BUFFER: usize = 32 << 10;

/// How long a client may take to close its side once the output has ended.
const LINGER: Duration = Duration::from_secs(2);
