//! What the channel's tasks and its users share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hull_protocol::{Frame, Kind, Response, SendWindow, StreamId};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::closed::Closed;
use crate::output::Queue;

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Requests, credits and resets: never wait behind data.
    control: UnboundedSender<ControlFrame>,
    /// Set while nothing is written after a last frame.
    pub(crate) held: watch::Sender<bool>,
    /// Data and ends of streams, in order. Bounded by `slots`.
    data: UnboundedSender<DataFrame>,
    /// How many data frames may wait for the channel, of all streams together.
    pub(crate) slots: Arc<Semaphore>,
    closed: watch::Sender<Option<Closed>>,
}

/// A frame that is not part of a stream's data.
#[derive(Debug)]
pub(crate) struct ControlFrame {
    pub(crate) frame: Frame,
    /// Nothing is written after it until somebody lets go.
    pub(crate) is_last: bool,
}

/// A frame of a stream and the place in the queue that it gives back when it has been written.
#[derive(Debug)]
pub(crate) struct DataFrame {
    pub(crate) frame: Frame,
    pub(crate) _slot: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) closed: Option<Closed>,
    pub(crate) pending: HashMap<u32, oneshot::Sender<Response>>,
    pub(crate) inputs: HashMap<StreamId, InputState>,
    pub(crate) outputs: HashMap<StreamId, OutputState>,
    last_request: u32,
    last_stream: StreamId,
}

/// A stream to the guest.
#[derive(Debug, Default)]
pub(crate) struct InputState {
    pub(crate) window: SendWindow,
    pub(crate) reset: bool,
    pub(crate) changed: Arc<Notify>,
}

/// A stream from the guest.
#[derive(Debug)]
pub(crate) struct OutputState {
    pub(crate) queue: Arc<Queue>,
    /// Which of the queue's streams it is.
    pub(crate) index: usize,
    /// Bytes that the guest may still send.
    pub(crate) allowance: u64,
}

impl Shared {
    pub(crate) fn new(
        control: UnboundedSender<ControlFrame>,
        data: UnboundedSender<DataFrame>,
    ) -> Self {
        Self {
            state: Mutex::default(),
            control,
            held: watch::Sender::new(false),
            data,
            slots: Arc::new(Semaphore::new(WAITING_DATA_FRAMES)),
            closed: watch::Sender::new(None),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the maps would still be sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame that is not part of a stream's data. A closed channel drops it.
    pub(crate) fn send(&self, frame: Frame) {
        let _ = self.control.send(ControlFrame { frame, is_last: false });
    }

    /// Queues a frame after which nothing is written until [`Shared::go_on`].
    pub(crate) fn send_last(&self, frame: Frame) {
        let _ = self.control.send(ControlFrame { frame, is_last: true });
    }

    /// Lets the channel be written to again.
    pub(crate) fn go_on(&self) {
        self.held.send_replace(false);
    }

    /// Queues a frame of a stream.
    pub(crate) fn send_data(&self, frame: Frame, slot: Option<OwnedSemaphorePermit>) {
        let _ = self.data.send(DataFrame { frame, _slot: slot });
    }

    /// Closes the channel; only the first reason counts.
    pub(crate) fn close(&self, reason: Closed) {
        let (queues, inputs) = {
            let mut state = self.lock();
            if state.closed.is_some() {
                return;
            }
            state.closed = Some(reason.clone());
            // Dropping the senders wakes those who wait for a response.
            state.pending.clear();
            let outputs = std::mem::take(&mut state.outputs);
            let inputs: Vec<_> = state.inputs.values().map(|it| it.changed.clone()).collect();
            (outputs, inputs)
        };
        self.closed.send_replace(Some(reason.clone()));
        for output in queues.into_values() {
            output.queue.close(reason.clone());
        }
        for input in inputs {
            input.notify_one();
        }
    }

    /// Returns why the channel is closed.
    pub(crate) fn reason(&self) -> Closed {
        self.lock().closed.clone().unwrap_or(Closed::ByHost)
    }

    /// Waits until the channel is closed.
    pub(crate) async fn closed(&self) -> Closed {
        let mut receiver = self.closed.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(Closed::ByHost),
            Err(_) => Closed::ByHost,
        }
    }

    /// Handles one frame of the guest. Events are the caller's.
    pub(crate) fn receive(&self, frame: Frame) -> Result<(), Closed> {
        let mut state = self.lock();
        match frame.kind {
            Kind::Hello | Kind::Request | Kind::Event => {
                return Err(Closed::violation(format!(
                    "unexpected frame of kind {:?}",
                    frame.kind
                )));
            }
            Kind::Response => {
                // Nobody waits any more: see `State::next_request`.
                let Some(pending) = state.pending.remove(&frame.stream) else {
                    return Ok(());
                };
                let response = serde_json::from_slice(&frame.payload)
                    .map_err(|error| Closed::violation(format!("malformed response: {error}")))?;
                let _ = pending.send(response);
            }
            // Streams that this side has let go of may still have frames on their way.
            Kind::Data => {
                let Some(output) = state.outputs.get_mut(&frame.stream) else {
                    return Ok(());
                };
                let Some(left) = output.allowance.checked_sub(frame.payload.len() as u64) else {
                    return Err(Closed::violation("data beyond the window"));
                };
                output.allowance = left;
                output.queue.push(output.index, &frame.payload);
            }
            Kind::Eof => {
                if let Some(output) = state.outputs.remove(&frame.stream) {
                    output.queue.end(output.index);
                }
            }
            Kind::Credit => {
                let Some(bytes) = frame.credit_bytes() else {
                    return Err(Closed::violation("malformed credit"));
                };
                if let Some(input) = state.inputs.get_mut(&frame.stream) {
                    input.window.grant(bytes);
                    input.changed.notify_one();
                }
            }
            Kind::Reset => {
                if let Some(input) = state.inputs.get_mut(&frame.stream) {
                    input.reset = true;
                    input.changed.notify_one();
                }
            }
        }
        Ok(())
    }
}

impl State {
    /// Returns a request number that no unanswered request has.
    pub(crate) fn next_request(&mut self) -> u32 {
        if self.pending.len() >= MANY_REQUESTS {
            // A guest that never answers shall not cost memory for what nobody waits for.
            self.pending.retain(|_, sender| !sender.is_closed());
        }
        loop {
            self.last_request = self.last_request.wrapping_add(1);
            if !self.pending.contains_key(&self.last_request) {
                return self.last_request;
            }
        }
    }

    /// Returns a stream number, not 0, that is not in use.
    pub(crate) fn next_stream(&mut self) -> StreamId {
        loop {
            self.last_stream = self.last_stream.wrapping_add(1);
            let id = self.last_stream;
            if id != 0 && !self.inputs.contains_key(&id) && !self.outputs.contains_key(&id) {
                return id;
            }
        }
    }
}

/// Enough to keep the channel busy, few enough for a signal not to wait long behind them.
const WAITING_DATA_FRAMES: usize = 8;
const MANY_REQUESTS: usize = 64;
