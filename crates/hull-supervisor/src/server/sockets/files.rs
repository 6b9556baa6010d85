//! Sockets whose files are in shared directories.
//!
//! What a process of the container listens on is a socket of the host at the same file, from the moment
//! when it listens until nobody does. What a process of the host listens on the agent listens on, too,
//! from the moment when somebody in the container looks for it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use hull_guest::Guest;
use hull_protocol::{Reply, Request, SocketFile, SocketState};
use hull_share::{Server, SocketEvent};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::carry::Carrier;
use super::published;
use crate::server::context::chain;

/// The sockets in the directories that a server shares with the guest.
#[derive(Debug)]
pub(super) struct Files {
    server: Server,
    container: String,
    guest: Guest,
    carrier: Rc<Carrier>,
    events: UnboundedReceiver<SocketEvent>,
    /// Those that processes of the container have made; `true` ends one.
    made: HashMap<(u32, u64), Rc<watch::Sender<bool>>>,
    tasks: JoinSet<()>,
}

impl Files {
    pub(super) fn new(
        server: Server,
        container: String,
        guest: Guest,
        carrier: Rc<Carrier>,
    ) -> Self {
        let (sender, events) = unbounded_channel();
        server.carry_sockets(move |event| {
            // The container has ended.
            let _ = sender.send(event);
        });
        let (made, tasks) = (HashMap::new(), JoinSet::new());
        Self { server, container, guest, carrier, events, made, tasks }
    }

    /// Does what the server says until the container is `closing`, and then waits for the connections
    /// that there are.
    pub(super) async fn attend(mut self, mut closing: watch::Receiver<bool>) {
        loop {
            let event = tokio::select! {
                _ = closing.wait_for(|closing| *closing) => break,
                Some(_) = self.tasks.join_next() => continue,
                Some(event) = self.events.recv() => event,
            };
            self.handle(event);
        }
        for made in self.made.values() {
            made.send_replace(true);
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn handle(&mut self, event: SocketEvent) {
        match event {
            SocketEvent::Made { share, node, socket } => {
                let end = Rc::new(watch::Sender::new(false));
                self.made.insert((share, node), Rc::clone(&end));
                let (guest, carrier) = (self.guest.clone(), Rc::clone(&self.carrier));
                let file = self.file(share, node);
                self.tasks.spawn_local(publish(file, socket, guest, carrier, end));
            }
            SocketEvent::Gone { share, node } => {
                if let Some(made) = self.made.remove(&(share, node)) {
                    made.send_replace(true);
                }
            }
            SocketEvent::Wanted { share, node } => self.settle(share, node, true),
            SocketEvent::Deserted { share, node, waits: true } => self.settle(share, node, false),
            SocketEvent::Deserted { share, node, waits: false } => {
                let ended = self.guest.send(&Request::StandDown(self.file(share, node)));
                self.tasks.spawn_local(async move {
                    if let Err(error) = ended.done().await {
                        tracing::debug!(error = chain(&error), "the guest keeps a socket");
                    }
                });
            }
        }
    }

    /// Has the agent listen on a file, or not any more, and says so to those who wait for that.
    fn settle(&mut self, share: u32, node: u64, stands: bool) {
        let file = self.file(share, node);
        let request = if stands { Request::StandIn(file) } else { Request::StandDown(file) };
        let (asked, server) = (self.guest.send(&request), self.server.clone());
        self.tasks.spawn_local(async move {
            // An agent that is told to be quiet does not answer; who waits for it must not for long.
            let settled = timeout(PATIENCE, asked.done()).await;
            let is_done = matches!(settled, Ok(Ok(())));
            if let Ok(Err(error)) = settled {
                tracing::debug!(error = chain(&error), "the guest does not listen");
            }
            server.settle(share, node, stands && is_done);
        });
    }

    fn file(&self, share: u32, node: u64) -> SocketFile {
        SocketFile { container: self.container.clone(), share, node }
    }
}

/// Lets the host connect to what is bound to `file`, as soon as and for as long as somebody in the
/// container listens, until the `end`.
async fn publish(
    file: SocketFile,
    socket: OwnedFd,
    guest: Guest,
    carrier: Rc<Carrier>,
    end: Rc<watch::Sender<bool>>,
) {
    let mut ended = end.subscribe();
    let listens = tokio::select! {
        _ = ended.wait_for(|ended| *ended) => return,
        listens = listens(&guest, &file) => listens,
    };
    if !listens {
        return;
    }
    let listening = rustix::net::listen(&socket, BACKLOG);
    let listener = match listening.map_err(Into::into).and_then(|()| hull_socket::listener(socket))
    {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "cannot listen on a socket of the container's");
            return;
        }
    };
    let call = {
        let file = file.clone();
        move |streams| Request::Call { file: file.clone(), streams }
    };
    let (asked, probed) = (guest.clone(), file.clone());
    let refused = move || {
        let (guest, file, end) = (asked.clone(), probed.clone(), Rc::clone(&end));
        tokio::task::spawn_local(async move {
            // Who listened has gone, and nobody else ever will.
            if matches!(state(&guest, &file).await, Some(SocketState::Absent)) {
                end.send_replace(true);
            }
        });
    };
    published::accept((listener, ()), &guest, carrier, call, ended, refused).await;
}

/// Waits until somebody in the container listens on a file; `false`: nobody will.
async fn listens(guest: &Guest, file: &SocketFile) -> bool {
    let mut pause = FIRST_PAUSE;
    // The file is there before the socket is bound to it.
    let mut absent = 0;
    loop {
        match state(guest, file).await {
            Some(SocketState::Listening) => return true,
            Some(SocketState::Bound) => {}
            Some(SocketState::Absent) if absent < MOST_ABSENT => absent += 1,
            _ => return false,
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn state(guest: &Guest, file: &SocketFile) -> Option<SocketState> {
    match guest.send(&Request::Probe(file.clone())).reply().await {
        Ok(Reply::Socket { state }) => Some(state),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(error = chain(&error), "the guest does not know a socket");
            None
        }
    }
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// A program that binds a socket listens on it at once.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often there may be no socket at a file that has just been made: for some seconds.
const MOST_ABSENT: u32 = 14;
const PATIENCE: Duration = Duration::from_secs(2);
