//! The connection that the supervisor inherits from the daemon that started it.

use std::sync::Arc;

use hull_protocol::Kind;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex, watch};

use crate::control::{Answer, Answered, Failure, Notice, Operation};
use crate::state::State;
use crate::wire::{FrameReader, parse, write_json};

use super::context::Context;

/// The daemon at the other end. It may go away at any time; what is told then is lost.
#[derive(Debug)]
pub(super) struct Daemon {
    writer: Mutex<OwnedWriteHalf>,
    heard: watch::Receiver<Heard>,
    reader: tokio::task::JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Heard {
    Nothing,
    Start,
    /// It closed the connection without a word.
    Gone,
}

impl Daemon {
    pub(super) fn new(stream: UnixStream, context: Arc<Context>) -> Self {
        let (reader, writer) = stream.into_split();
        let (sender, heard) = watch::channel(Heard::Nothing);
        let reader = tokio::task::spawn_local(async move {
            let mut reader = FrameReader::new(reader);
            let heard = match reader.next().await {
                Ok(Some(frame)) if frame.kind == Kind::Request => match parse(&frame) {
                    Ok(Operation::Start) => {
                        context.mark(|timings| &mut timings.start_requested);
                        Heard::Start
                    }
                    _ => Heard::Gone,
                },
                _ => Heard::Gone,
            };
            sender.send_replace(heard);
            // Keeps the sender, so that `heard` stays readable.
            sender.closed().await;
        });
        Self { writer: Mutex::new(writer), heard, reader }
    }

    /// Returns when the daemon has asked for the start.
    pub(super) async fn start_requested(&self) {
        self.wait(Heard::Start).await;
    }

    /// Returns when the daemon has gone without asking for the start.
    pub(super) async fn gone(&self) {
        self.wait(Heard::Gone).await;
    }

    pub(super) async fn tell(&self, notice: &Notice) {
        let _ = write_json(&mut *self.writer.lock().await, Kind::Event, notice).await;
    }

    /// Answers the start.
    pub(super) async fn started(&self, state: &State) {
        let answer = Answer::Ok(Answered::State(Box::new(state.clone())));
        let _ = write_json(&mut *self.writer.lock().await, Kind::Response, &answer).await;
    }

    /// Tells why the container does not start, as an answer or unasked.
    pub(super) async fn fail(&self, failure: &Failure) {
        if *self.heard.borrow() == Heard::Start {
            let answer = Answer::Error(failure.clone());
            let _ = write_json(&mut *self.writer.lock().await, Kind::Response, &answer).await;
        } else {
            self.tell(&Notice::Failed(failure.clone())).await;
        }
    }

    async fn wait(&self, wanted: Heard) {
        let mut heard = self.heard.clone();
        if heard.wait_for(|heard| *heard == wanted).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
