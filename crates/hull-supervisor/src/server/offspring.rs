//! `hull fork` and `hull checkpoint`: a running container stands still for a moment, and is copied.

use std::any::Any;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hull_guest::Guest;
use hull_protocol::{Adopt, Request, Stdio, VERSION};
use hull_share::{Server, State};
use hull_vmm::{Disk, Machine, Shape, Slot};
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::control::{Answered, Failure, FailureCode};
use crate::launch::Launch;
use crate::paths;
use crate::state::Status;
use crate::wire::invalid;

use super::ahead::Ahead;
use super::cloned::OpenDisk;
use super::connection::Client;
use super::context::{Context, chain, failure};
use super::handover::Offer;
use super::restored::Checkpoint;
use super::wiring::Wired;
use super::zygote::{self, About, Running};
use super::{identity, kept, shares};

/// A client wants a copy of the machine in `dir`.
#[derive(Debug)]
pub(super) struct Wanted {
    dir: PathBuf,
    purpose: Purpose,
    answer: oneshot::Sender<Result<Held, Failure>>,
}

/// What a copy is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// It stands still, and is cloned.
    Fork,
    /// It is written to files.
    Checkpoint { leave_running: bool },
}

/// A machine that stands still until this is dropped.
type Held = Box<dyn Any + Send>;

/// Serves an operation that needs a copy, which is there until the client goes.
pub(super) async fn serve(
    context: Arc<Context>,
    mut client: Client,
    dir: PathBuf,
    purpose: Purpose,
) {
    let status = context.state().status;
    let asked = match status {
        Status::Running => {
            let (answer, held) = oneshot::channel();
            context.ask_for_copy(Wanted { dir, purpose, answer });
            held.await.unwrap_or_else(|_| Err(not_running()))
        }
        Status::Paused => Err(Failure::new(
            FailureCode::Invalid,
            "a paused container cannot be copied, unpause it first",
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
    pub(super) shape: Option<&'a Shape>,
    pub(super) disks: &'a [OpenDisk],
    pub(super) writable: Slot,
    pub(super) stdio: &'a Stdio,
    pub(super) boot_log: &'a str,
    pub(super) wired: Vec<Wired>,
    pub(super) shares: Option<&'a Server>,
}

/// A copy that stands still.
struct Frozen<M> {
    machine: M,
    /// What the container has open of the host's directories, if it has any of them and is forked.
    shares: Option<State>,
}

/// Does what is `wanted`.
pub(super) async fn copy<M: Machine + Send + 'static>(
    context: &Context,
    mut source: Source<'_, M>,
    wanted: Wanted,
) {
    let Wanted { dir, purpose, answer } = wanted;
    let about = match about(context, &source) {
        Ok(about) => about,
        Err(failure) => {
            // The client may have gone; so below.
            let _ = answer.send(Err(failure));
            return;
        }
    };
    let mut ahead = Ahead::begin(&mut source, &dir).await;
    let frozen = freeze(context, &mut source, &dir, purpose, &mut ahead).await;
    ahead.abandon(source.machine).await;
    if purpose == (Purpose::Checkpoint { leave_running: false }) {
        let saved = match frozen {
            Ok(frozen) => save(frozen.machine, &dir, about).await,
            Err(failure) => Err(failure),
        };
        match &saved {
            Ok(()) => context.destroy.notify_one(),
            Err(_) => drop(thaw(context, &mut source).await),
        }
        let _ = answer.send(saved.map(|()| Box::new(()) as Held));
        return;
    }
    let thawed = thaw(context, &mut source).await;
    let frozen = match thawed.and(frozen) {
        Ok(frozen) => frozen,
        Err(failure) => {
            let _ = answer.send(Err(failure));
            return;
        }
    };
    // The container has been held up enough.
    tokio::task::spawn_local(async move {
        let held = match purpose {
            Purpose::Fork => offer(frozen, &dir, about).await.map(|it| Box::new(it) as Held),
            Purpose::Checkpoint { .. } => {
                save(frozen.machine, &dir, about).await.map(|()| Box::new(()) as Held)
            }
        };
        let _ = answer.send(held);
    });
}

fn about<M: Machine>(context: &Context, source: &Source<'_, M>) -> Result<About, Failure> {
    if let Some(wired) = source.wired.iter().find(|wired| !source.machine.can_rewire_nic(&wired.id))
    {
        let message = format!("the interface {} of the machine cannot be copied", wired.id);
        return Err(Failure::new(FailureCode::Unsupported, message));
    }
    let Some(shape) = source.shape else {
        let why = context.state().start.and_then(|origin| origin.reason);
        return Err(Failure {
            code: FailureCode::Unsupported,
            message: format!(
                "the machine of this container booted and cannot be copied: {}",
                why.unwrap_or_else(|| "no reason known".to_owned())
            ),
            hint: Some(
                "restart the container: one that starts from a template can be copied (`enabled = \
                 true` under `[templates]` in config.toml)"
                    .to_owned(),
            ),
        });
    };
    let state = context.state();
    Ok(About {
        shape: shape.clone(),
        template: state.start.and_then(|origin| origin.template),
        kernel: state.guest_kernel,
        boot_log: source.boot_log.to_owned(),
        disks: source.disks.iter().map(|disk| disk.slot).collect(),
        running: Some(Running {
            container: context.launch.container.clone(),
            writable: source.writable,
            stdio: source.stdio.clone(),
            shares: source.shares.is_some(),
        }),
        wired: source.wired.clone(),
    })
}

/// Freezes the container and stops the machine; returns a copy of it, with copies of its disks in
/// `dir`.
async fn freeze<M: Machine>(
    context: &Context,
    source: &mut Source<'_, M>,
    dir: &Path,
    purpose: Purpose,
    ahead: &mut Ahead,
) -> Result<Frozen<M>, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(FailureCode::Failed, format!("cannot copy the machine: {}", chain(error)))
    };
    let container = context.launch.container.clone();
    let sync = async || match source.shares {
        Some(_) => source.guest.send(&Request::Sync).done().await.map_err(failure),
        None => Ok(()),
    };
    // What programs have written to mappings of shared files is written once, not by every copy,
    // perhaps over something newer; most of it before the container stands still.
    sync().await?;
    source.guest.send(&Request::Pause { container }).done().await.map_err(failure)?;
    sync().await?;
    // What the guest has said when this is answered is all that it says.
    source.guest.send_last(&Request::Quiet).done().await.map_err(failure)?;
    let resting = shares::stop(source.machine, source.shares).await?;
    let mut exchanges = Vec::new();
    for disk in source.disks {
        let copied = ahead.finish(source.machine, disk, dir).await;
        exchanges.push(copied.map_err(|error| failed(&error))?);
    }
    let shares = match (&resting, purpose) {
        (None, _) => None,
        (Some(resting), Purpose::Fork) => Some(resting.save().map_err(|error| failed(&error))?),
        (Some(resting), Purpose::Checkpoint { .. }) => {
            kept::save(resting, dir)?;
            None
        }
    };
    let machine = source.machine.twin("hull-fork", exchanges).await;
    Ok(Frozen { machine: machine.map_err(|error| failed(&error))?, shares })
}

/// Lets machine and container go on, however far [`freeze`] got.
async fn thaw<M: Machine>(context: &Context, source: &mut Source<'_, M>) -> Result<(), Failure> {
    let resumed = source.machine.resume().await;
    source.guest.go_on();
    let spoken = source.guest.send(&Request::Speak);
    let container = context.launch.container.clone();
    source.guest.send(&Request::Resume { container }).done().await.map_err(failure)?;
    spoken.done().await.map_err(failure)?;
    resumed.map_err(|error| Failure::new(FailureCode::Failed, chain(&error)))
}

/// Has a copy be cloned by whoever finds it in `dir`.
async fn offer<M: Machine>(
    frozen: Frozen<M>,
    dir: &Path,
    about: About,
) -> Result<(M, Option<Offer>), Failure> {
    let failed = |error: &dyn std::error::Error| Failure::new(FailureCode::Failed, chain(error));
    let Frozen { mut machine, shares } = frozen;
    let shares = shares.map(|state| Offer::new(dir, state)).transpose();
    let shares = shares.map_err(|error| failed(&error))?;
    let offered = zygote::offer(&mut machine, dir, about).await;
    offered.map_err(|error| failed(&error))?;
    Ok((machine, shares))
}

/// Writes a copy to `dir`, whose disks are there already, and syncs all of it.
async fn save<M: Machine>(mut machine: M, dir: &Path, about: About) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(FailureCode::Failed, format!("cannot save the machine: {}", chain(error)))
    };
    // An image's disk cannot be part of what is saved.
    let exchanged = machine.attach_disk(Slot::Image, &Disk::Placeholder).await;
    exchanged.map_err(|error| failed(&error))?;
    let create = |name: &str| {
        let path = dir.join(name);
        fs::File::options().write(true).create_new(true).mode(0o600).open(path)
    };
    let nics = machine.nics();
    let file = create(paths::MACHINE).map_err(|error| failed(&error))?;
    let target = file.try_clone().map_err(|error| failed(&error))?;
    machine.save_whole(target.into()).await.map_err(|error| failed(&error))?;
    machine.kill();
    machine.wait().await;
    let dir = dir.to_owned();
    let finish = move || -> io::Result<()> {
        let checkpoint = Checkpoint { protocol: VERSION, about, nics };
        let path = dir.join(paths::CHECKPOINT);
        fs::write(&path, serde_json::to_vec(&checkpoint).map_err(invalid)?)?;
        file.sync_all()?;
        for entry in fs::read_dir(&dir)? {
            fs::File::open(entry?.path())?.sync_all()?;
        }
        fs::File::open(&dir)?.sync_all()
    };
    match tokio::task::spawn_blocking(finish).await {
        Ok(finished) => finished.map_err(|error| failed(&error)),
        Err(error) => Err(failed(&error)),
    }
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
