//! Byte streams to the guest.

use std::sync::Arc;

use hull_protocol::frame::MAX_DATA;
use hull_protocol::{Frame, Kind, StreamId};
use thiserror::Error;
use tokio::sync::Notify;

use crate::closed::Closed;
use crate::shared::Shared;

/// A byte stream to the guest. Dropping it ends it.
#[derive(Debug)]
pub struct InputStream {
    shared: Arc<Shared>,
    changed: Arc<Notify>,
    id: StreamId,
    ended: bool,
}

/// Why no more can be written.
#[derive(Clone, Debug, Error)]
pub enum InputError {
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error("the reader has closed the stream")]
    Reset,
}

impl InputStream {
    pub(crate) fn new(shared: Arc<Shared>, changed: Arc<Notify>, id: StreamId) -> Self {
        Self { shared, changed, id, ended: false }
    }

    /// Returns the stream's number on the channel, to be named in a request.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Writes all of `bytes`, as fast as the guest reads.
    ///
    /// # Errors
    /// [`InputError`].
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), InputError> {
        while !bytes.is_empty() {
            let written = self.write_some(bytes).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Writes some of `bytes` and returns how many. A cancelled call has written nothing.
    ///
    /// # Errors
    /// [`InputError`].
    pub async fn write_some(&mut self, bytes: &[u8]) -> Result<usize, InputError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.wait(|input| input.window.available() > 0).await?;
        // No slot is held while waiting for credit, so that a full stream holds up no other.
        let slots = self.shared.slots.clone();
        let slot = slots.acquire_owned().await.map_err(|_| self.shared.reason())?;
        let taken = self
            .shared
            .lock()
            .inputs
            .get_mut(&self.id)
            .map(|input| input.window.take(bytes.len().min(MAX_DATA)));
        let Some(taken) = taken else {
            return Err(self.shared.reason().into());
        };
        let frame = Frame::new(Kind::Data, self.id, &bytes[..taken]);
        self.shared.send_data(frame, Some(slot));
        Ok(taken)
    }

    /// Ends the stream; what was written before is still delivered.
    pub fn eof(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            let frame = Frame::new(Kind::Eof, self.id, []);
            self.shared.send_data(frame, None);
        }
    }

    /// Waits until nothing more can be written.
    pub async fn failed(&self) -> InputError {
        match self.wait(|_| false).await {
            Ok(()) => InputError::Reset,
            Err(error) => error,
        }
    }

    /// Waits for `ready`, a reset or the channel's end.
    async fn wait(
        &self,
        ready: impl Fn(&crate::shared::InputState) -> bool,
    ) -> Result<(), InputError> {
        loop {
            {
                let state = self.shared.lock();
                if let Some(reason) = &state.closed {
                    return Err(reason.clone().into());
                }
                match state.inputs.get(&self.id) {
                    Some(input) if input.reset => return Err(InputError::Reset),
                    Some(input) if ready(input) => return Ok(()),
                    Some(_) => {}
                    None => return Err(Closed::ByHost.into()),
                }
            }
            self.changed.notified().await;
        }
    }
}

impl Drop for InputStream {
    fn drop(&mut self) {
        self.eof();
        self.shared.lock().inputs.remove(&self.id);
    }
}
