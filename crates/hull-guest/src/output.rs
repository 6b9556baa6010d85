//! Byte streams from the guest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use hull_protocol::frame::MAX_DATA;
use hull_protocol::{Frame, Kind, RecvWindow, StreamId};
use tokio::sync::Notify;

use crate::closed::Closed;
use crate::shared::Shared;

/// One or more byte streams of one process, read together so that pieces of all of them come in
/// the order in which the guest sent them.
///
/// Each has its own window; what is not read here holds up these streams and no other.
#[derive(Debug)]
pub struct OutputStreams {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    streams: Vec<Stream>,
    /// What the caller works on: granted back when it asks for more.
    taken: Option<(usize, usize)>,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    window: RecvWindow,
    ended: bool,
}

/// One piece; `stream` counts from 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    Data { stream: usize, bytes: Bytes },
    Eof { stream: usize },
}

impl OutputStreams {
    pub(crate) fn new(shared: Arc<Shared>, queue: Arc<Queue>, ids: Vec<StreamId>) -> Self {
        let streams = ids
            .into_iter()
            .map(|id| Stream { id, window: RecvWindow::default(), ended: false })
            .collect();
        Self { shared, queue, streams, taken: None }
    }

    /// Returns the number of a stream on the channel, to be named in a request.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn id(&self, stream: usize) -> StreamId {
        self.streams[stream].id
    }

    /// Returns the next piece, `None` when all streams have ended. The guest gets credit for a
    /// piece when the next one is asked for. Cancelling loses nothing.
    ///
    /// # Errors
    /// [`Closed`], after everything that came before.
    pub async fn next(&mut self) -> Result<Option<Output>, Closed> {
        if let Some((stream, bytes)) = self.taken.take() {
            self.grant(stream, bytes);
        }
        loop {
            let changed = self.queue.changed.notified();
            if let Some(piece) = self.queue.lock().pieces.pop_front() {
                return Ok(Some(match piece {
                    Piece::Data(stream, bytes) => {
                        self.taken = Some((stream, bytes.len()));
                        Output::Data { stream, bytes: bytes.freeze() }
                    }
                    Piece::Eof(stream) => {
                        self.streams[stream].ended = true;
                        Output::Eof { stream }
                    }
                }));
            }
            if self.streams.iter().all(|stream| stream.ended) {
                return Ok(None);
            }
            if let Some(reason) = self.queue.lock().closed.clone() {
                return Err(reason);
            }
            changed.await;
        }
    }

    fn grant(&mut self, index: usize, bytes: usize) {
        let stream = &mut self.streams[index];
        if stream.ended {
            return;
        }
        let Some(credit) = stream.window.consume(bytes) else {
            return;
        };
        let mut state = self.shared.lock();
        if let Some(output) = state.outputs.get_mut(&stream.id) {
            output.allowance += u64::from(credit);
            self.shared.send(Frame::credit(stream.id, credit));
        }
    }
}

impl Drop for OutputStreams {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        for stream in &self.streams {
            if state.outputs.remove(&stream.id).is_some() {
                self.shared.send(Frame::new(Kind::Reset, stream.id, []));
            }
        }
    }
}

/// Pieces that have come and are not read yet. Bounded by the streams' windows.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    pieces: VecDeque<Piece>,
    closed: Option<Closed>,
}

#[derive(Debug)]
enum Piece {
    Data(usize, BytesMut),
    Eof(usize),
}

impl Queue {
    pub(crate) fn push(&self, stream: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut state = self.lock();
        match state.pieces.back_mut() {
            // A guest that sends single bytes shall not cost a piece for each.
            Some(Piece::Data(last, piece))
                if *last == stream && piece.len() + bytes.len() <= MAX_DATA =>
            {
                piece.extend_from_slice(bytes);
            }
            _ => state.pieces.push_back(Piece::Data(stream, bytes.into())),
        }
        drop(state);
        self.changed.notify_one();
    }

    pub(crate) fn end(&self, stream: usize) {
        self.lock().pieces.push_back(Piece::Eof(stream));
        self.changed.notify_one();
    }

    pub(crate) fn close(&self, reason: Closed) {
        self.lock().closed = Some(reason);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
