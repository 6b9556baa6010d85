//! Carries bytes between a client's pipes and a supervisor's connection.

use hull_supervisor::Exit;
use hull_supervisor::client::{Attached, Input, Piece};
use hull_supervisor::control;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::debug;

use super::{InputMessage, Pipes};
use crate::{Channel, Chunk};

/// Whose streams they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Of the main process: a client that goes away leaves it alone.
    Main,
    /// Of an exec: a client that goes away ends its input, and its exit is still wanted.
    Exec,
}

/// Carries bytes until the process has ended (then returns how) or nobody wants them.
pub(super) async fn pump(attached: Attached, pipes: Pipes, kind: Kind) -> Option<Exit> {
    let Attached { input, mut output } = attached;
    let mut held = None;
    let carrier = match pipes.input {
        Some(receiver) => {
            let carry = tokio::spawn(carry_input(input, receiver, kind));
            Some(AbortOnDrop(carry.abort_handle()))
        }
        None => {
            // Dropping it would be no disconnect, but keeping it says clearly that it is not.
            held = Some(input);
            None
        }
    };
    let mut carrier = carrier;
    let mut client = Some(pipes.output);
    let exit = loop {
        let piece = match &client {
            Some(sender) => tokio::select! {
                biased;
                piece = output.next() => piece,
                () = sender.closed() => {
                    if kind == Kind::Main {
                        break None;
                    }
                    client = None;
                    continue;
                }
            },
            None => output.next().await,
        };
        match piece {
            Ok(Some(Piece::Data(channel, data))) => {
                let channel = match channel {
                    control::Channel::Stdout => Channel::Stdout,
                    control::Channel::Stderr => Channel::Stderr,
                };
                if let Some(sender) = &client
                    && sender.send(Chunk { channel, data }).await.is_err()
                {
                    if kind == Kind::Main {
                        break None;
                    }
                    client = None;
                }
            }
            Ok(Some(Piece::InputClosed)) => carrier = None,
            Ok(Some(Piece::Exit(exit))) => break Some(exit),
            Ok(None) => break None,
            Err(error) => {
                debug!(%error, "streams of a process broke off");
                break None;
            }
        }
    };
    drop((carrier, held));
    exit
}

async fn carry_input(mut sink: Input, mut source: mpsc::Receiver<InputMessage>, kind: Kind) {
    while let Some(message) = source.recv().await {
        let sent = match message {
            InputMessage::Data(data) => sink.write(&data).await,
            InputMessage::End => {
                sink.eof().await.ok();
                // Kept open: that the client has nothing more to say is not that it has left.
                return std::future::pending().await;
            }
        };
        if sent.is_err() {
            return;
        }
    }
    if kind == Kind::Exec {
        sink.eof().await.ok();
    }
    std::future::pending().await
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
