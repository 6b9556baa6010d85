//! The container's networks: its membership in the network service, and its interfaces.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hull_guest::{Guest, Pending};
use hull_network::client::{ClientError, Joined, Member};
use hull_network::protocol::{Endpoint, Join};
use hull_protocol::Request;
use hull_vmm::Machine;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::control::{Failure, FailureCode, Settle};
use crate::launch::{InterfaceLaunch, NetworkLaunch};

use super::context::{Context, chain, failure};
use super::wiring::{self, Wired};

/// A container that is joining its networks, while its machine starts.
#[derive(Debug)]
pub(super) struct Joining(JoinHandle<Result<Joined, ClientError>>);

impl Joining {
    /// Begins; `None` if the container has no networks.
    pub(super) fn begin(context: &Arc<Context>) -> Option<Self> {
        let network = context.launch.network.clone();
        let network = network.filter(|network| !network.interfaces.is_empty())?;
        let home = context.launch.machine.home.clone();
        let join = Join {
            container: context.launch.container.clone(),
            endpoints: endpoints(&network),
            ports: network.ports,
            again: false,
        };
        Some(Self(tokio::task::spawn_local(async move {
            Member::join(&network.program, &home, join).await
        })))
    }

    /// Waits until the container has joined, and gives `machine`, which has the interfaces `wired`
    /// already, those of the container. Its agent is told what to make of them.
    pub(super) async fn plug(
        self,
        context: &Arc<Context>,
        machine: &mut impl Machine,
        guest: &Guest,
        mut wired: Vec<Wired>,
    ) -> Result<(Configuring, Membership), Failure> {
        let joined = self.0.await;
        let joined = joined.map_err(|error| Failure::new(FailureCode::Failed, chain(&error)))?;
        let Joined { member, taps, ports } = joined.map_err(refused)?;
        context.mark(|timings| &mut timings.network_joined);
        context.note(|state| state.ports = ports);
        let launch = context.launch.network.clone().unwrap_or_default();
        let take = |interface| wiring::take(&mut wired, interface);
        let taken: Vec<_> = launch.interfaces.iter().map(take).collect();
        // The names of those that are left over may be wanted.
        wiring::unplug(machine, wired).await?;
        let mut pending = Vec::new();
        for ((interface, tap), wired) in launch.interfaces.iter().zip(taps).zip(taken) {
            pending.extend(wiring::plug(machine, guest, wired, interface, tap).await?);
        }
        Ok((Configuring(pending), Membership::begin(context, member, launch)))
    }
}

/// Interfaces that have been plugged in and are being configured.
#[derive(Debug, Default)]
pub(super) struct Configuring(Vec<Pending>);

impl Configuring {
    /// Waits until all are configured.
    pub(super) async fn done(self) -> Result<(), Failure> {
        for pending in self.0 {
            configured(pending).await?;
        }
        Ok(())
    }
}

/// The container is on its networks for as long as this lives.
#[derive(Debug)]
pub(super) struct Membership {
    task: JoinHandle<()>,
    changes: mpsc::Sender<Change>,
    wired: RefCell<Vec<Wired>>,
}

/// What a membership is asked for.
#[derive(Debug)]
enum Change {
    Connect(Endpoint, oneshot::Sender<Result<OwnedFd, ClientError>>),
    Disconnect(String, oneshot::Sender<Result<(), ClientError>>),
    Rename(BTreeMap<String, Vec<String>>, oneshot::Sender<Result<(), ClientError>>),
}

impl Membership {
    /// Joins a container that runs and has had no network until now.
    pub(super) async fn late(context: &Arc<Context>) -> Result<Self, Failure> {
        let none =
            || Failure::new(FailureCode::Invalid, "the container was started without networks");
        let launch = context.launch.network.clone().ok_or_else(none)?;
        let join = Join {
            container: context.launch.container.clone(),
            endpoints: Vec::new(),
            ports: Vec::new(),
            again: false,
        };
        // The container's end waits for it.
        let joined = Member::join(&launch.program, &context.launch.machine.home, join);
        let slow = |_| Failure::new(FailureCode::Network, "the network service does not answer");
        let joined = timeout(JOIN_PATIENCE, joined).await.map_err(slow)?.map_err(refused)?;
        Ok(Self::begin(context, joined.member, launch))
    }

    fn begin(context: &Arc<Context>, member: Member, launch: NetworkLaunch) -> Self {
        let (changes, asked) = mpsc::channel(1);
        let wired = launch.interfaces.iter().map(Wired::of).collect();
        let task = keep(Arc::clone(context), member, launch, asked);
        Self { task: tokio::task::spawn_local(task), changes, wired: RefCell::new(wired) }
    }

    /// Returns the interfaces that the container has.
    pub(super) fn wired(&self) -> Vec<Wired> {
        self.wired.borrow().clone()
    }

    /// Connects the container, whose program runs, to one more network; returns what waits for the
    /// guest.
    pub(super) async fn connect(
        &self,
        machine: &mut impl Machine,
        guest: &Guest,
        interface: &InterfaceLaunch,
    ) -> Result<Configuring, Failure> {
        let (reply, answer) = oneshot::channel();
        // The task ends with this value only.
        let _ = self.changes.send(Change::Connect(interface.endpoint.clone(), reply)).await;
        let tap = answer.await.map_err(|_| gone())?.map_err(refused)?;
        let plugged = wiring::plug(machine, guest, None, interface, tap).await;
        match &plugged {
            Ok(_) => self.wired.borrow_mut().push(Wired::of(interface)),
            Err(_) => drop(self.leave(&interface.endpoint.network.id).await),
        }
        Ok(Configuring(plugged?))
    }

    /// Takes the container off a network.
    pub(super) async fn disconnect(
        &self,
        machine: &mut impl Machine,
        network: &str,
        interface: &str,
    ) -> Result<(), Failure> {
        // Nothing passes from here on, whatever the guest does.
        self.leave(network).await?;
        self.wired.borrow_mut().retain(|wired| wired.id != interface);
        let unplugged = machine.unplug_nic(interface).await;
        unplugged.map_err(|error| Failure::new(FailureCode::Network, chain(&error)))
    }

    /// Changes what the container knows of its networks, and what it is called in them.
    pub(super) async fn settle(
        &self,
        guest: &Guest,
        container: String,
        settle: Settle,
    ) -> Result<Configuring, Failure> {
        let Settle { names, routes, edits } = settle;
        let (reply, answer) = oneshot::channel();
        let _ = self.changes.send(Change::Rename(names, reply)).await;
        answer.await.map_err(|_| gone())?.map_err(refused)?;
        let request = hull_protocol::Settle { container, routes, edits };
        Ok(Configuring(vec![guest.send(&Request::Settle(Box::new(request)))]))
    }

    /// Leaves the networks: what the container had there is free for whoever joins next.
    pub(super) async fn end(mut self) {
        self.task.abort();
        // That it was aborted is what it says.
        let _ = (&mut self.task).await;
    }

    async fn leave(&self, network: &str) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        let _ = self.changes.send(Change::Disconnect(network.to_owned(), reply)).await;
        answer.await.map_err(|_| gone())?.map_err(refused)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn configured(pending: Pending) -> Result<(), Failure> {
    match timeout(PATIENCE, pending.done()).await {
        Ok(done) => done.map_err(failure),
        Err(_) => {
            let message = format!("the guest did not find its network interface in {PATIENCE:?}");
            Err(Failure::new(FailureCode::Network, message))
        }
    }
}

/// Keeps the membership, with another service if the one that there was has gone.
async fn keep(
    context: Arc<Context>,
    mut member: Member,
    launch: NetworkLaunch,
    mut asked: mpsc::Receiver<Change>,
) {
    let mut endpoints = endpoints(&launch);
    loop {
        tokio::select! {
            () = member.lost() => {
                tracing::warn!("the network service has gone");
                member = rejoin(&context, &member, &launch.program, &endpoints).await;
            }
            // Nobody waits for an answer if the container is ending.
            Some(change) = asked.recv() => match change {
                Change::Connect(endpoint, reply) => {
                    let connect = async |member: &mut Member| member.connect(endpoint.clone()).await;
                    let connected = ask(&context, &mut member, &launch.program, &endpoints, connect);
                    let connected = connected.await;
                    if connected.is_ok() {
                        endpoints.push(endpoint);
                    }
                    let _ = reply.send(connected);
                }
                Change::Rename(names, reply) => {
                    let rename = async |member: &mut Member| member.rename(names.clone()).await;
                    let renamed = ask(&context, &mut member, &launch.program, &endpoints, rename);
                    let renamed = renamed.await;
                    for endpoint in &mut endpoints {
                        if let Some(names) = names.get(&endpoint.network.id) {
                            endpoint.names.clone_from(names);
                        }
                    }
                    let _ = reply.send(renamed);
                }
                Change::Disconnect(network, reply) => {
                    let disconnect = async |member: &mut Member| member.disconnect(&network).await;
                    let left = ask(&context, &mut member, &launch.program, &endpoints, disconnect);
                    let left = left.await;
                    endpoints.retain(|endpoint| endpoint.network.id != network);
                    let _ = reply.send(left);
                }
            },
        }
    }
}

/// Asks for a change: the next service, if the one that there is goes before it answers.
async fn ask<T>(
    context: &Context,
    member: &mut Member,
    program: &Path,
    endpoints: &[Endpoint],
    change: impl AsyncFn(&mut Member) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    match change(member).await {
        Err(ClientError::Lost(_)) => {
            *member = rejoin(context, member, program, endpoints).await;
            change(member).await
        }
        answered => answered,
    }
}

async fn rejoin(
    context: &Context,
    member: &Member,
    program: &Path,
    endpoints: &[Endpoint],
) -> Member {
    loop {
        let join = Join {
            container: context.launch.container.clone(),
            endpoints: endpoints.to_vec(),
            // Those that were any free one stay what they are.
            ports: context.state().ports,
            again: true,
        };
        match member.join_again(program, &context.launch.machine.home, join).await {
            Ok(joined) => return joined.member,
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot join the networks again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn endpoints(launch: &NetworkLaunch) -> Vec<Endpoint> {
    launch.interfaces.iter().map(|interface| interface.endpoint.clone()).collect()
}

fn refused(error: ClientError) -> Failure {
    match error {
        ClientError::Refused { message, hint } => {
            Failure { code: FailureCode::Network, message, hint }
        }
        error => Failure::new(FailureCode::Network, chain(&error)),
    }
}

fn gone() -> Failure {
    Failure::new(FailureCode::NotRunning, "the container is ending")
}

/// How long a guest has to find a device and configure it.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);
/// How long a service has to start and take a container in that runs.
const JOIN_PATIENCE: Duration = Duration::from_secs(5);
