//! Changes to the networks of a container that runs: asked for on one connection, done by the task
//! that has the machine.

use std::sync::Arc;

use hull_vmm::Machine;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::control::{Failure, FailureCode, Settle};
use crate::launch::InterfaceLaunch;

use super::context::Context;
use super::network::Membership;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Wanted {
    Connect(Box<InterfaceLaunch>),
    /// An identifier of a network, and the interface in it.
    Disconnect(String, String),
    Settle(Box<Settle>),
}

/// A change, and who waits for it.
#[derive(Debug)]
pub(super) struct Change {
    wanted: Wanted,
    reply: oneshot::Sender<Result<(), Failure>>,
}

/// Changes that have been asked for.
#[derive(Debug)]
pub(super) struct Changes {
    sender: mpsc::Sender<Change>,
    receiver: Mutex<mpsc::Receiver<Change>>,
}

impl Default for Changes {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(1);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl Changes {
    /// Asks for a change and waits until it has been made.
    pub(super) async fn ask(&self, wanted: Wanted) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        let ended = || Failure::new(FailureCode::NotRunning, "the container has ended");
        self.sender.send(Change { wanted, reply }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Returns the next one that was asked for. May be cancelled.
    pub(super) async fn next(&self) -> Change {
        match self.receiver.lock().await.recv().await {
            Some(change) => change,
            // There is always a sender beside it.
            None => std::future::pending().await,
        }
    }
}

impl Change {
    /// Makes the change. What is left to the guest is waited for in the background.
    pub(super) async fn make(
        self,
        context: &Arc<Context>,
        membership: &mut Option<Membership>,
        machine: &mut impl Machine,
    ) {
        let Self { wanted, reply } = self;
        let membership = match (membership, &wanted) {
            (Some(membership), _) => membership,
            (none, Wanted::Connect(_)) => match Membership::late(context).await {
                Ok(late) => none.insert(late),
                Err(failure) => return drop(reply.send(Err(failure))),
            },
            (None, Wanted::Disconnect(..) | Wanted::Settle(_)) => {
                let message = "the container is in no network";
                let failure = Failure::new(FailureCode::Invalid, message);
                return drop(reply.send(Err(failure)));
            }
        };
        let guest = match context.guest() {
            Ok(guest) => guest,
            Err(failure) => return drop(reply.send(Err(failure))),
        };
        match wanted {
            Wanted::Connect(interface) => {
                match membership.connect(machine, &guest, &interface).await {
                    Ok(configuring) => {
                        tokio::task::spawn_local(async move {
                            // The client may have gone.
                            let _ = reply.send(configuring.done().await);
                        });
                    }
                    Err(failure) => drop(reply.send(Err(failure))),
                }
            }
            Wanted::Settle(settle) => {
                let container = context.launch.container.clone();
                match membership.settle(&guest, container, *settle).await {
                    Ok(configuring) => {
                        tokio::task::spawn_local(async move {
                            let _ = reply.send(configuring.done().await);
                        });
                    }
                    Err(failure) => drop(reply.send(Err(failure))),
                }
            }
            Wanted::Disconnect(network, interface) => {
                drop(reply.send(membership.disconnect(machine, &network, &interface).await));
            }
        }
    }
}
