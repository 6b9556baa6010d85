//! `hull fork`: a running container stands still for a moment, and is copied.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hull_guest::Guest;
use hull_protocol::{Adopt, Request, Stdio};
use hull_vmm::{Machine, Slot};
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::control::{Answered, Failure, FailureCode};
use crate::launch::Launch;
use crate::state::Status;

use super::cloned::OpenDisk;
use super::connection::Client;
use super::context::{Context, chain, failure};
use super::identity;
use super::zygote::{self, About, Running};

/// A client wants a copy of the machine in `dir`.
#[derive(Debug)]
pub(super) struct Wanted {
    dir: PathBuf,
    answer: oneshot::Sender<Result<Held, Failure>>,
}

/// A machine that stands still until this is dropped.
type Held = Box<dyn Any + Send>;

/// Serves [`crate::control::Operation::Fork`]: the copy is there until the client goes.
pub(super) async fn serve(context: Arc<Context>, mut client: Client, dir: PathBuf) {
    let status = context.state().status;
    let asked = match status {
        Status::Running => {
            let (answer, held) = oneshot::channel();
            context.ask_for_copy(Wanted { dir, answer });
            held.await.unwrap_or_else(|_| Err(not_running()))
        }
        Status::Paused => Err(Failure::new(
            FailureCode::Invalid,
            "a paused container cannot be forked, unpause it first",
        )),
        _ => Err(not_running()),
    };
    match asked {
        Ok(held) => {
            client.answer(Ok(Answered::Done)).await;
            client.gone().await;
            drop(held);
        }
        Err(failure) => client.answer(Err(failure)).await,
    }
}

/// What is copied.
pub(super) struct Source<'a, M> {
    pub(super) machine: &'a mut M,
    pub(super) guest: &'a Guest,
    pub(super) disks: &'a [OpenDisk],
    pub(super) writable: Slot,
    pub(super) stdio: &'a Stdio,
    pub(super) boot_log: &'a str,
}

/// Does what is `wanted`.
pub(super) async fn copy<M: Machine + Send + 'static>(
    context: &Context,
    source: Source<'_, M>,
    wanted: Wanted,
) {
    let made = freeze(context, source, &wanted.dir).await;
    // The client may have gone; then so does the copy.
    let _ = wanted.answer.send(made.map(|machine| Box::new(machine) as Held));
}

async fn freeze<M: Machine>(
    context: &Context,
    source: Source<'_, M>,
    dir: &Path,
) -> Result<M, Failure> {
    let Source { machine, guest, disks, writable, stdio, boot_log } = source;
    let container = context.launch.container.clone();
    let pause = Request::Pause { container: container.clone() };
    guest.send(&pause).done().await.map_err(failure)?;
    // What the guest has said when this is answered is all that it says.
    let twin = match guest.send_last(&Request::Quiet).done().await {
        Ok(()) => twin(machine, disks, dir).await,
        Err(error) => Err(failure(error)),
    };
    let resumed = machine.resume().await;
    guest.go_on();
    let spoken = guest.send(&Request::Speak);
    guest.send(&Request::Resume { container: container.clone() }).done().await.map_err(failure)?;
    spoken.done().await.map_err(failure)?;
    resumed.map_err(|error| Failure::new(FailureCode::Failed, chain(&error)))?;

    let mut twin = twin?;
    let state = context.state();
    let about = About {
        accelerator: state.accelerator.unwrap_or_default(),
        template: state.start.and_then(|origin| origin.template),
        kernel: state.guest_kernel,
        boot_log: boot_log.to_owned(),
        disks: disks.iter().map(|disk| disk.slot).collect(),
        running: Some(Running { container, writable, stdio: stdio.clone() }),
    };
    let offered = zygote::offer(&mut twin, dir, about).await;
    offered.map_err(|error| Failure::new(FailureCode::Failed, chain(&error)))?;
    Ok(twin)
}

/// Stops the machine and returns a copy of it, with copies of its disks in `dir`.
async fn twin<M: Machine>(machine: &mut M, disks: &[OpenDisk], dir: &Path) -> Result<M, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(FailureCode::Failed, format!("cannot fork the machine: {}", chain(error)))
    };
    machine.pause().await.map_err(|error| failed(&error))?;
    let exchanges =
        disks.iter().map(|disk| zygote::copy(&disk.file, &zygote::disk(dir, disk.slot)));
    let exchanges = exchanges.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    machine.twin("hull-fork", exchanges).await.map_err(|error| failed(&error))
}

/// Returns what has the container that was `running` become the one of `launch`.
pub(super) fn adopt(launch: &Launch, running: Running, stdio: Stdio) -> std::io::Result<Request> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        hostname: String,
    }
    let named: Named = serde_json::from_str(launch.spec.get())?;
    Ok(Request::Adopt(Box::new(Adopt {
        container: running.container,
        name: launch.container.clone(),
        identity: identity::of(launch)?,
        hostname: named.hostname,
        files: launch.files.clone(),
        from: running.stdio,
        stdio,
    })))
}

fn not_running() -> Failure {
    Failure::new(FailureCode::NotRunning, "the container is not running")
}
