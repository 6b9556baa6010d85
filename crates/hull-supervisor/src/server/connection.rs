//! Serves clients: one operation per connection.

use std::convert::Infallible;
use std::sync::Arc;

use hull_protocol::{Kind, Reply, Request};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::control::{Answer, Answered, Failure, FailureCode, Operation};
use crate::state::Status;
use crate::wire::{FrameReader, parse, write_json};

use super::context::{Context, failure};
use super::offspring::{self, Purpose};
use super::rewire::Wanted;
use super::{attach, copy, exec, stop};

/// A client's connection after its operation.
pub(super) struct Client {
    pub(super) reader: FrameReader<OwnedReadHalf>,
    pub(super) writer: OwnedWriteHalf,
}

impl Client {
    /// Answers; a client that has gone does not matter.
    pub(super) async fn answer(&mut self, answer: Result<Answered, Failure>) {
        let answer = match answer {
            Ok(answered) => Answer::Ok(answered),
            Err(failure) => Answer::Error(failure),
        };
        let _ = write_json(&mut self.writer, Kind::Response, &answer).await;
    }

    /// Returns when the client has gone; what it still sends is dropped.
    pub(super) async fn gone(&mut self) {
        while let Ok(Some(_)) = self.reader.next().await {}
    }
}

/// Accepts clients for ever. The tasks that serve them live in `clients`.
pub(super) async fn serve(
    listener: &UnixListener,
    context: &Arc<Context>,
    clients: &mut JoinSet<()>,
) -> Infallible {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    clients.spawn_local(converse(stream, context.clone()));
                }
                // Out of descriptors, for example: clients that leave make room.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn converse(stream: UnixStream, context: Arc<Context>) {
    let (reader, writer) = stream.into_split();
    let mut client = Client { reader: FrameReader::new(reader), writer };
    let operation = match client.reader.next().await {
        Ok(Some(frame)) if frame.kind == Kind::Request => parse(&frame),
        _ => return,
    };
    let operation = match operation {
        Ok(operation) => operation,
        Err(error) => {
            let message = format!("malformed operation: {error}");
            let failure = Failure::new(FailureCode::Invalid, message);
            return client.answer(Err(failure)).await;
        }
    };
    match operation {
        Operation::Attach(wants) => attach::attach(context, client, wants).await,
        Operation::Exec(request) => exec::exec(context, client, *request).await,
        Operation::Fork { dir } => offspring::serve(context, client, dir, Purpose::Fork).await,
        Operation::Checkpoint { dir, leave_running } => {
            offspring::serve(context, client, dir, Purpose::Checkpoint { leave_running }).await;
        }
        Operation::CopyIn(wanted) => copy::copy_in(&context, client, wanted).await,
        Operation::CopyOut { part } => copy::copy_out(&context, client, part).await,
        operation => {
            let answer = tokio::select! {
                answer = answer(&context, operation) => answer,
                () = client.gone() => return,
            };
            client.answer(answer).await;
        }
    }
}

async fn answer(context: &Arc<Context>, operation: Operation) -> Result<Answered, Failure> {
    let container = context.launch.container.clone();
    let request = match operation {
        Operation::Status => return Ok(Answered::State(Box::new(context.state()))),
        Operation::Wait => return Ok(Answered::Exit(context.recorded().await)),
        Operation::Stop(stop) => {
            let context = context.clone();
            return in_background(async move { stop::stop(&context, stop).await }).await;
        }
        Operation::Destroy => {
            let context = context.clone();
            return in_background(async move { stop::destroy(&context).await }).await;
        }
        Operation::Signal { exec: None, signal, all: false } => {
            context.signal_init(signal).await?;
            return Ok(Answered::Done);
        }
        Operation::Signal { exec, signal, all } => {
            Request::Signal { target: context.target(exec), signal, all }
        }
        Operation::Resize { exec, rows, columns } => {
            Request::Resize { target: context.target(exec), rows, columns }
        }
        Operation::Connect(interface) => {
            context.guest()?;
            context.rewiring.ask(Wanted::Connect(interface)).await?;
            return Ok(Answered::Done);
        }
        Operation::Disconnect { network, interface } => {
            context.guest()?;
            context.rewiring.ask(Wanted::Disconnect(network, interface)).await?;
            return Ok(Answered::Done);
        }
        Operation::Settle(settle) => {
            context.guest()?;
            context.rewiring.ask(Wanted::Settle(settle)).await?;
            return Ok(Answered::Done);
        }
        Operation::Pause => {
            return freeze(context, Request::Pause { container }, Status::Paused).await;
        }
        Operation::Resume => {
            return freeze(context, Request::Resume { container }, Status::Running).await;
        }
        Operation::Health { seen } => return health(context, seen).await,
        Operation::Statistics => Request::Statistics { container },
        Operation::Processes => Request::Processes { container },
        Operation::Update { resources } => Request::Update { container, resources },
        Operation::Stat { path } => Request::Stat { container, path },
        Operation::Sync => Request::Sync,
        Operation::Claim { .. } | Operation::Start => {
            let message = "only the daemon that made the supervisor can start its container";
            return Err(Failure::new(FailureCode::Invalid, message));
        }
        // Handled by the caller.
        Operation::Attach(_)
        | Operation::Exec(_)
        | Operation::CopyIn(_)
        | Operation::CopyOut { .. }
        | Operation::Checkpoint { .. }
        | Operation::Fork { .. } => {
            return Err(Failure::new(FailureCode::Invalid, "not such an operation"));
        }
    };
    let reply = context.guest()?.request(&request).await.map_err(failure)?;
    Ok(match reply {
        Reply::Done => Answered::Done,
        Reply::Processes { processes } => Answered::Processes(processes),
        Reply::Stat(stat) => Answered::Stat(stat),
        Reply::Statistics(statistics) => Answered::Statistics(statistics),
        Reply::Started { pid } | Reply::Created { pid } => Answered::Started { pid },
        Reply::Socket { .. } => {
            return Err(Failure::new(FailureCode::Failed, "the guest speaks of a socket"));
        }
    })
}

/// Waits for news of the container's health.
async fn health(context: &Context, seen: u64) -> Result<Answered, Failure> {
    let mut watch = context.health.subscribe();
    let news = watch.wait_for(|health| health.as_ref().is_some_and(|health| health.serial != seen));
    match news.await {
        Ok(health) => Ok(Answered::Health(Box::new(health.clone().unwrap_or_default()))),
        Err(error) => Err(Failure::new(FailureCode::NotRunning, error.to_string())),
    }
}

/// A stop that was begun goes on when its client leaves.
async fn in_background(
    work: impl Future<Output = crate::control::Exit> + 'static,
) -> Result<Answered, Failure> {
    match tokio::task::spawn_local(work).await {
        Ok(exit) => Ok(Answered::Exit(exit)),
        Err(error) => Err(Failure::new(FailureCode::Failed, error.to_string())),
    }
}

async fn freeze(context: &Context, request: Request, status: Status) -> Result<Answered, Failure> {
    context.guest()?.send(&request).done().await.map_err(failure)?;
    context
        .update(|state| {
            if state.status != Status::Exited {
                state.status = status;
            }
        })
        .map_err(|error| Failure::new(FailureCode::Failed, error.to_string()))?;
    Ok(Answered::Done)
}
