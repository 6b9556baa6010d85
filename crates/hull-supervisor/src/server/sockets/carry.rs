//! One connection: bytes between a socket of the host and two streams of the guest.

use std::io;
use std::sync::Arc;

use hull_guest::{Guest, InputStream, Output, OutputStreams};
use hull_protocol::{Duplex, Request};
use rustix::net::{Shutdown, shutdown};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::context::chain;

/// Carries connections, a limited number at once.
#[derive(Debug)]
pub(super) struct Carrier {
    slots: Arc<Semaphore>,
}

impl Carrier {
    pub(super) fn new(most: usize) -> Self {
        Self { slots: super::semaphore(most) }
    }

    /// Waits until there may be one more connection; it counts until this is dropped.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        // Never closed.
        self.slots.clone().acquire_owned().await.ok()
    }

    /// Has the guest connect two streams by `request`, and carries `stream` over them until both
    /// directions have ended. `turn` is given back when they are connected. Returns whether they were.
    pub(super) async fn carry(
        &self,
        guest: &Guest,
        stream: UnixStream,
        request: impl FnOnce(Duplex) -> Request,
        turn: Option<OwnedSemaphorePermit>,
    ) -> bool {
        let mut input = guest.input();
        let outputs = guest.outputs(1);
        let streams = Duplex { input: input.id(), output: outputs.id(0) };
        let connected = guest.send(&request(streams)).done().await;
        drop(turn);
        if let Err(error) = connected {
            // Whoever has connected sees the end of the connection.
            tracing::debug!(error = chain(&error), "the guest does not connect");
            return false;
        }
        tokio::join!(up(&stream, &mut input), down(outputs, &stream));
        true
    }
}

/// Passes on what comes from the host, its end, and that nobody wants it any more.
async fn up(stream: &UnixStream, input: &mut InputStream) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = tokio::select! {
            read = read(stream, &mut buffer) => read,
            _ = input.failed() => break,
        };
        match read {
            Ok(0) | Err(_) => return input.eof(),
            Ok(length) => {
                if input.write(&buffer[..length]).await.is_err() {
                    break;
                }
            }
        }
    }
    // Who writes on gets EPIPE. It fails if the other side has gone, who knows already.
    let _ = shutdown(stream, Shutdown::Read);
}

/// Passes on what comes from the guest and its end. When nobody on the host wants it any more, the
/// guest hears of it by the end of `outputs`.
async fn down(mut outputs: OutputStreams, stream: &UnixStream) {
    while let Ok(Some(Output::Data { bytes, .. })) = outputs.next().await {
        if write(stream, &bytes).await.is_err() {
            return;
        }
    }
    let _ = shutdown(stream, Shutdown::Write);
}

async fn read(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}

async fn write(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

const BUFFER: usize = 32 << 10;
