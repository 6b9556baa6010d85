//! A container that is run for practice in a machine that waits.

use std::collections::BTreeMap;
use std::time::Duration;

use hull_guest::{Events, Guest};
use hull_protocol::{Create, Event, Request, Rootfs, Shared, Stdio};
use hull_vmm::Slot;
use tokio::time::timeout;

use crate::control::{Failure, FailureCode};
use crate::launch::RehearsalLaunch;

use super::context::{chain, failure};
use super::identity;
use super::wiring::Spare;

/// Runs a container from the image in slot [`Slot::Kept`] to its end and removes all of it, so many
/// `times`. `launch` is what it is, and the machine's architecture; `spare` is the interface that it
/// has.
pub(super) async fn run(
    guest: &Guest,
    events: &mut Events,
    launch: (&RehearsalLaunch, &str),
    mut spare: Option<&mut Spare>,
    times: u32,
) -> Result<(), Failure> {
    let whole = async {
        for _ in 0..times {
            perform(guest, events, launch, spare.as_deref_mut()).await?;
        }
        Ok(())
    };
    timeout(PATIENCE, whole).await.unwrap_or_else(|_| {
        Err(Failure::new(FailureCode::Boot, format!("a rehearsal did not end in {PATIENCE:?}")))
    })?;
    // What it left to be written later would be written by every clone.
    guest.send(&Request::Sync).done().await.map_err(failure)
}

async fn perform(
    guest: &Guest,
    events: &mut Events,
    (launch, arch): (&RehearsalLaunch, &str),
    spare: Option<&mut Spare>,
) -> Result<(), Failure> {
    let invalid = |error: &dyn std::error::Error| Failure::new(FailureCode::Invalid, chain(error));
    let (spec, seccomp) =
        hull_guest::seccomp::extract(&launch.spec, arch).map_err(|error| invalid(&error))?;
    let identity =
        identity::fresh("rehearsal", BTreeMap::new()).map_err(|error| invalid(&error))?;
    let mut outputs = guest.outputs(2);
    let create = Create {
        container: NAME.to_owned(),
        spec,
        rootfs: Rootfs {
            image: Slot::Kept.name().to_owned(),
            image_type: "erofs".to_owned(),
            scratch: Some(Slot::Scratch.name().to_owned()),
        },
        seccomp,
        user: launch.user.clone(),
        groups: Vec::new(),
        files: launch.files.clone(),
        shares: vec![Shared { directory: true, ..Shared::default() }],
        init: true,
        stdio: Stdio {
            stdin: None,
            stdout: Some(outputs.id(0)),
            stderr: Some(outputs.id(1)),
            terminal: false,
        },
    };
    let configured = guest.send(&Request::Configure(identity));
    let interface = spare.map(|spare| (guest.send(&spare.take()), spare.stow()));
    let created = guest.send(&Request::Create(Box::new(create)));
    let started = guest.send(&Request::Start { container: NAME.to_owned() });
    configured.done().await.map_err(failure)?;
    let mut stow = None;
    if let Some((taken, request)) = interface {
        taken.done().await.map_err(failure)?;
        stow = Some(request);
    }
    created.reply().await.map_err(failure)?;
    started.reply().await.map_err(failure)?;
    // What it writes is of no interest, but must be read.
    while let Ok(Some(_)) = outputs.next().await {}
    loop {
        match events.next().await {
            Some(Event::Exited { target, .. }) if target.container == NAME => break,
            Some(_) => {}
            None => return Err(Failure::new(FailureCode::Boot, "the guest has gone")),
        }
    }
    guest.send(&Request::Delete { container: NAME.to_owned() }).done().await.map_err(failure)?;
    match stow {
        Some(stow) => guest.send(&stow).done().await.map_err(failure),
        None => Ok(()),
    }
}

const NAME: &str = "rehearsal";
const PATIENCE: Duration = Duration::from_secs(60);
