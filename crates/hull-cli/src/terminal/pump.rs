//! Moves bytes between the user's standard streams and a raw connection to the daemon.

use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::OwnedWriteHalf;

use super::{DetachKeys, Output, stdin};
use crate::client::{Demultiplexer, Hijacked, Piece, Target};
use crate::error::Failure;

/// How to treat a raw connection.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Send standard input.
    pub(crate) stdin: bool,
    /// Output is that of a terminal: not framed.
    pub(crate) tty: bool,
    /// Keys that end the session, where standard input is a terminal in raw mode.
    pub(crate) detach_keys: Option<DetachKeys>,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// The user typed the detach keys.
    Detached,
    /// The daemon closed the connection: the process has ended.
    Finished,
}

impl Session {
    /// Moves bytes until the daemon has no more to say or the user detaches.
    ///
    /// # Errors
    /// Standard output cannot be written, or the connection breaks.
    pub(crate) async fn run(self, hijacked: Hijacked) -> Result<End, Failure> {
        let Hijacked { mut reader, writer } = hijacked;
        let output = Output::new();
        let tty = self.tty;
        let receive = async {
            let mut frames = Demultiplexer::default();
            loop {
                let bytes = reader.next().await?;
                if bytes.is_empty() {
                    return Ok(());
                }
                if tty {
                    let piece = Piece { target: Target::Stdout, data: bytes };
                    if !output.send(piece).await {
                        return Ok(());
                    }
                    continue;
                }
                frames.push(&bytes);
                while let Some(piece) = frames.next().map_err(Failure::new)? {
                    if !output.send(piece).await {
                        return Ok(());
                    }
                }
            }
        };
        let end = tokio::select! {
            biased;
            result = receive => result.map(|()| End::Finished),
            () = self.send(writer) => Ok(End::Detached),
        };
        output.finish().await?;
        end
    }

    /// Sends standard input, and its end; returns only when the user detaches.
    async fn send(self, mut writer: OwnedWriteHalf) {
        if !self.stdin {
            // The daemon sees that nothing will come.
            let _ = writer.shutdown().await;
            return std::future::pending().await;
        }
        let mut keys = self.detach_keys;
        let mut input = stdin::read();
        while let Some(piece) = input.recv().await {
            let sent = match &mut keys {
                None => writer.write_all(&piece).await,
                Some(keys) => {
                    let (passed, complete) = keys.filter(&piece);
                    let sent = writer.write_all(&passed).await;
                    if complete {
                        return;
                    }
                    sent
                }
            };
            if sent.is_err() {
                // The process reads no more. Its output may still come.
                return std::future::pending().await;
            }
        }
        if let Some(keys) = keys {
            let _ = writer.write_all(keys.rest()).await;
        }
        let _ = writer.shutdown().await;
        std::future::pending().await
    }
}
