//! Standard input of the container's init process, shared by all attached clients.

use hull_guest::{InputError, InputStream};
use tokio::sync::{Mutex, watch};

/// The process's stdin. Exists before its guest does: writers wait.
#[derive(Debug)]
pub(super) struct Stdin {
    stream: Mutex<Option<InputStream>>,
    state: watch::Sender<StdinState>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StdinState {
    /// The guest is not there yet.
    Waiting,
    Open,
    Closed,
}

impl Stdin {
    /// Returns a stdin to come, or one that is `/dev/null`.
    pub(super) fn new(open: bool) -> Self {
        let state = if open { StdinState::Waiting } else { StdinState::Closed };
        Self { stream: Mutex::new(None), state: watch::Sender::new(state) }
    }

    /// Connects it to the guest. If it has been closed meanwhile, ends it.
    pub(super) async fn connect(&self, stream: InputStream) {
        let mut slot = self.stream.lock().await;
        let opened = self.state.send_if_modified(|state| {
            let waiting = *state == StdinState::Waiting;
            if waiting {
                *state = StdinState::Open;
            }
            waiting
        });
        if opened {
            *slot = Some(stream);
        }
    }

    /// Writes all of `bytes`, as fast as the process reads. `false`: the process reads no more.
    pub(super) async fn write(&self, bytes: &[u8]) -> bool {
        let mut state = self.state.subscribe();
        // What it returns is a lock on the state: it must not live on.
        if state.wait_for(|state| *state != StdinState::Waiting).await.is_err() {
            return false;
        }
        let mut slot = self.stream.lock().await;
        let Some(stream) = slot.as_mut() else {
            return false;
        };
        match stream.write(bytes).await {
            Ok(()) => true,
            Err(InputError::Reset | InputError::Closed(_)) => {
                self.state.send_replace(StdinState::Closed);
                *slot = None;
                false
            }
        }
    }

    /// Ends it for good.
    pub(super) async fn close(&self) {
        self.state.send_replace(StdinState::Closed);
        // Dropping the stream sends the end of file.
        self.stream.lock().await.take();
    }
}
