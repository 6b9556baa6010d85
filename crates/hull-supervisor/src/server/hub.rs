//! Fans the output of the container's init process out to the log and to attached clients.
//!
//! As in Docker, an attached client that does not read holds up the container; one that is gone
//! does not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::control::{Attach, Channel, Exit};

/// All attached clients.
#[derive(Debug, Default)]
pub(super) struct Hub {
    state: Mutex<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    clients: Vec<Arc<Mailbox>>,
    exit: Option<Exit>,
    /// Clients are no longer waited for.
    draining: bool,
}

/// What is on its way to one client.
#[derive(Debug)]
pub(super) struct Mailbox {
    wants: Attach,
    state: Mutex<MailboxState>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct MailboxState {
    items: VecDeque<Item>,
    bytes: usize,
    closed: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    Data(Channel, Bytes),
    Exit(Exit),
}

impl Hub {
    /// Adds a client, which sees all output from now on, and the exit.
    pub(super) fn attach(&self, wants: Attach) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox {
            wants,
            state: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
        });
        let mut state = self.lock();
        match &state.exit {
            Some(exit) => mailbox.push(Item::Exit(exit.clone())),
            None => state.clients.push(mailbox.clone()),
        }
        mailbox
    }

    /// Hands output to all clients that want it, and waits for those that have too much of it.
    pub(super) async fn output(&self, channel: Channel, bytes: &Bytes) {
        let (clients, draining) = {
            let mut state = self.lock();
            state.clients.retain(|client| !client.lock().closed);
            (state.clients.clone(), state.draining)
        };
        for client in &clients {
            if client.wants(channel) {
                client.push(Item::Data(channel, bytes.clone()));
            }
        }
        if draining {
            return;
        }
        for client in &clients {
            while client.is_full() && !self.lock().draining {
                client.emptied.notified().await;
            }
        }
    }

    /// Lets all further output pass without waiting for clients: the process has ended, so there
    /// is not much more of it.
    pub(super) fn drain(&self) {
        let mut state = self.lock();
        state.draining = true;
        for client in &state.clients {
            client.emptied.notify_one();
        }
    }

    /// Tells all clients, also those to come, that the process has ended.
    pub(super) fn finish(&self, exit: &Exit) {
        let mut state = self.lock();
        state.exit = Some(exit.clone());
        for client in state.clients.drain(..) {
            client.push(Item::Exit(exit.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    /// Returns the next item. Cancelling loses nothing.
    pub(super) async fn next(&self) -> Item {
        loop {
            if let Some(item) = self.take() {
                return item;
            }
            self.filled.notified().await;
        }
    }

    /// Lets go of the hub: the client is gone.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        state.bytes = 0;
        self.emptied.notify_one();
    }

    fn take(&self) -> Option<Item> {
        let mut state = self.lock();
        let item = state.items.pop_front()?;
        if let Item::Data(_, bytes) = &item {
            state.bytes -= bytes.len();
            self.emptied.notify_one();
        }
        Some(item)
    }

    fn push(&self, item: Item) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if let Item::Data(_, bytes) = &item {
            state.bytes += bytes.len();
        }
        state.items.push_back(item);
        self.filled.notify_one();
    }

    fn wants(&self, channel: Channel) -> bool {
        match channel {
            Channel::Stdout => self.wants.stdout,
            Channel::Stderr => self.wants.stderr,
        }
    }

    fn is_full(&self) -> bool {
        let state = self.lock();
        !state.closed && state.bytes > MOST_WAITING
    }

    fn lock(&self) -> MutexGuard<'_, MailboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that may wait for a client before the container does.
const MOST_WAITING: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const ALL: Attach = Attach { stdin: false, stdout: true, stderr: true };

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_holds_up_and_a_gone_one_does_not() {
        let hub = Hub::default();
        let (fast, slow) = (hub.attach(ALL), hub.attach(ALL));
        let big = Bytes::from(vec![1; MOST_WAITING + 1]);
        let tick = Duration::from_millis(10);
        let mut output = Box::pin(hub.output(Channel::Stdout, &big));
        assert!(timeout(tick, &mut output).await.is_err());
        fast.next().await;
        assert!(timeout(tick, &mut output).await.is_err());
        slow.close();
        timeout(tick, output).await.unwrap();
        let again = hub.output(Channel::Stdout, &big);
        assert!(timeout(tick, again).await.is_err(), "the fast one is full now");
        hub.drain();
        timeout(tick, hub.output(Channel::Stdout, &big)).await.unwrap();
    }

    #[tokio::test]
    async fn clients_get_what_they_want_and_always_the_exit() {
        let hub = Hub::default();
        let errors_only = hub.attach(Attach { stderr: true, ..Attach::default() });
        hub.output(Channel::Stdout, &"out".into()).await;
        hub.output(Channel::Stderr, &"error".into()).await;
        let exit = Exit::default();
        hub.finish(&exit);
        let late = hub.attach(ALL);
        assert!(matches!(errors_only.next().await, Item::Data(Channel::Stderr, _)));
        assert!(matches!(errors_only.next().await, Item::Exit(_)));
        assert!(matches!(late.next().await, Item::Exit(_)));
    }
}
