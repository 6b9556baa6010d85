//! Opens a channel and keeps it going.

use std::sync::Arc;
use std::time::Duration;

use hull_protocol::frame::MAX_EVENT;
use hull_protocol::{Decoder, Event, Frame, Hello, INITIAL_WINDOW, Kind, Reply, Request, VERSION};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::AbortHandle;

use crate::closed::Closed;
use crate::input::InputStream;
use crate::output::{OutputStreams, Queue};
use crate::request::{Pending, RequestError};
use crate::shared::{ControlFrame, DataFrame, OutputState, Shared};

/// A guest whose agent has said Hello. Clones are the same channel; it is closed when the last
/// one is dropped.
#[derive(Clone, Debug)]
pub struct Guest {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close(Closed::ByHost);
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What the guest says unasked, in order.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
}

impl Events {
    /// Returns the next event, `None` when the channel is closed.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }
}

/// Why no channel could be opened.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error("the guest agent did not answer within {0:?}")]
    Silent(Duration),
    #[error("the guest agent speaks protocol version {guest}, this hull {VERSION}")]
    Version { guest: u32 },
}

impl Guest {
    /// Greets the agent at the other end of `stream` and returns its Hello. `software` names the
    /// caller. The agent may still be booting: what is sent waits for it.
    ///
    /// # Errors
    /// [`ConnectError`]; nothing goes on in the background then.
    pub async fn connect<S>(
        mut stream: S,
        software: &str,
        patience: Duration,
    ) -> Result<(Self, Events, Hello), ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut decoder = Decoder::default();
        let greeting = greet(&mut stream, &mut decoder, software);
        let hello = tokio::time::timeout(patience, greeting)
            .await
            .map_err(|_| ConnectError::Silent(patience))??;
        if hello.version != VERSION {
            return Err(ConnectError::Version { guest: hello.version });
        }
        let (guest, events) = Self::open(stream, decoder);
        Ok((guest, events, hello))
    }

    /// Takes over the agent at the other end of `stream`, which has been greeted before: its machine
    /// was forked from one where that was done.
    pub fn resume<S>(stream: S) -> (Self, Events)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::open(stream, Decoder::default())
    }

    fn open<S>(stream: S, decoder: Decoder) -> (Self, Events)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (control, control_queue) = mpsc::unbounded_channel();
        let (data, data_queue) = mpsc::unbounded_channel();
        let (events, receiver) = mpsc::channel(MOST_EVENTS);
        let shared = Arc::new(Shared::new(control, data));
        let (reader, writer) = tokio::io::split(stream);
        let tasks = [
            tokio::spawn(read(reader, decoder, shared.clone(), events)).abort_handle(),
            tokio::spawn(write(writer, control_queue, data_queue, shared.clone())).abort_handle(),
        ];
        let inner = Arc::new(Inner { shared, tasks });
        (Self { inner }, Events { receiver })
    }

    /// Sends a request at once and returns its response to come. Requests reach the guest in the
    /// order of these calls.
    pub fn send(&self, request: &Request) -> Pending {
        Pending::send(&self.inner.shared, request)
    }

    /// As [`Guest::send`], and sends nothing after it until [`Guest::go_on`]: the machine is about
    /// to be cloned.
    pub fn send_last(&self, request: &Request) -> Pending {
        Pending::send_last(&self.inner.shared, request)
    }

    /// Sends what has waited since [`Guest::send_last`].
    pub fn go_on(&self) {
        self.inner.shared.go_on();
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request(&self, request: &Request) -> Result<Reply, RequestError> {
        self.send(request).reply().await
    }

    /// Opens a stream to the guest, to be named in a request.
    pub fn input(&self) -> InputStream {
        let mut state = self.inner.shared.lock();
        let id = state.next_stream();
        let changed = state.inputs.entry(id).or_default().changed.clone();
        InputStream::new(self.inner.shared.clone(), changed, id)
    }

    /// Opens `count` streams from the guest that are read together, to be named in a request.
    pub fn outputs(&self, count: usize) -> OutputStreams {
        let queue = Arc::new(Queue::default());
        let mut state = self.inner.shared.lock();
        if let Some(reason) = &state.closed {
            queue.close(reason.clone());
        }
        let mut ids = Vec::with_capacity(count);
        for index in 0..count {
            let id = state.next_stream();
            state.outputs.insert(
                id,
                OutputState { queue: queue.clone(), index, allowance: u64::from(INITIAL_WINDOW) },
            );
            ids.push(id);
        }
        OutputStreams::new(self.inner.shared.clone(), queue.clone(), ids)
    }

    /// Waits until the channel is closed.
    pub async fn closed(&self) -> Closed {
        self.inner.shared.closed().await
    }
}

async fn greet<S>(stream: &mut S, decoder: &mut Decoder, software: &str) -> Result<Hello, Closed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hello =
        Hello { version: VERSION, software: software.to_owned(), kernel: None, uptime_us: None };
    let mut wire = Vec::new();
    let payload = serde_json::to_vec(&hello).map_err(std::io::Error::from)?;
    Frame::new(Kind::Hello, 0, payload).encode(&mut wire);
    stream.write_all(&wire).await?;
    stream.flush().await?;
    let mut buffer = [0; 1024];
    loop {
        if let Some(frame) = decoder.next_frame()? {
            if frame.kind != Kind::Hello {
                return Err(Closed::violation("its first frame is no Hello"));
            }
            return serde_json::from_slice(&frame.payload)
                .map_err(|error| Closed::violation(format!("malformed Hello: {error}")));
        }
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(Closed::ByGuest);
        }
        decoder.extend(&buffer[..read]);
    }
}

async fn read<S: AsyncRead>(
    reader: ReadHalf<S>,
    decoder: Decoder,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
) {
    let Err(reason) = read_frames(reader, decoder, &shared, &events).await;
    shared.close(reason);
}

async fn read_frames<S: AsyncRead>(
    mut reader: ReadHalf<S>,
    mut decoder: Decoder,
    shared: &Shared,
    events: &mpsc::Sender<Event>,
) -> Result<std::convert::Infallible, Closed> {
    let mut buffer = vec![0; READ_SIZE];
    loop {
        while let Some(frame) = decoder.next_frame()? {
            if frame.kind != Kind::Event {
                shared.receive(frame)?;
                continue;
            }
            if frame.payload.len() > MAX_EVENT {
                return Err(Closed::violation("too long an event"));
            }
            let event = serde_json::from_slice(&frame.payload)
                .map_err(|error| Closed::violation(format!("malformed event: {error}")))?;
            match events.try_send(event) {
                // Waiting here would let one slow reader of events hold up every stream.
                Err(mpsc::error::TrySendError::Full(_)) => {
                    return Err(Closed::violation("too many events"));
                }
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
        let read = reader.read(&mut buffer).await?;
        if read == 0 {
            return Err(Closed::ByGuest);
        }
        decoder.extend(&buffer[..read]);
    }
}

async fn write<S: AsyncWrite>(
    mut writer: WriteHalf<S>,
    mut control: UnboundedReceiver<ControlFrame>,
    mut data: UnboundedReceiver<DataFrame>,
    shared: Arc<Shared>,
) {
    let mut wire = Vec::new();
    loop {
        wire.clear();
        let mut held = shared.held.subscribe();
        if held.wait_for(|held| !held).await.is_err() {
            return;
        }
        // Given back when the frame has been written.
        let _slot = tokio::select! {
            biased;
            Some(frame) = control.recv() => {
                let mut next = Some(frame);
                while let Some(ControlFrame { frame, is_last }) = next {
                    frame.encode(&mut wire);
                    if is_last {
                        shared.held.send_replace(true);
                        break;
                    }
                    next = control.try_recv().ok();
                }
                None
            }
            Some(data) = data.recv() => {
                data.frame.encode(&mut wire);
                data._slot
            }
            else => return,
        };
        let mut written = writer.write_all(&wire).await;
        if written.is_ok() {
            written = writer.flush().await;
        }
        if let Err(error) = written {
            return shared.close(error.into());
        }
        wire.shrink_to(READ_SIZE);
    }
}

/// Events that may wait for their reader.
const MOST_EVENTS: usize = 1024;
const READ_SIZE: usize = 64 << 10;
