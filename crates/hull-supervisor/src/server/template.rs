//! Templates, as those need them who fork machines.

use std::time::Duration;

use hull_template::{BuildError, Key, Obtained, Recipe, Template, Templates};
use hull_vmm::{Configuration, ForkError, Machine, Qemu, Shape, Vmm};
use tokio::time::timeout;

use crate::launch::TemplatesLaunch;

/// Returns the store that `launch` names.
pub(super) fn store(launch: &TemplatesLaunch) -> Templates {
    Templates::new(&launch.dir, launch.max_bytes)
}

/// Returns the template for `shape`; one that has to be built is written to the disk while its first
/// container runs.
pub(super) async fn obtain(
    launch: &TemplatesLaunch,
    qemu: &Qemu,
    shape: &Shape,
) -> Result<Obtained, BuildError> {
    let store = store(launch);
    let obtained = store.obtain(qemu, Recipe { shape, spec: &launch.spec }).await?;
    if obtained.is_new {
        sync_in_background(store, obtained.template.key().clone());
    }
    Ok(obtained)
}

/// Forks `template` and returns when the guest runs; `spawned` is called when the VMM does.
pub(super) async fn restore(
    template: &Template,
    qemu: &Qemu,
    shape: &Shape,
    configuration: Configuration,
    spawned: impl FnOnce(),
) -> Result<<Qemu as Vmm>::Machine, RestoreError> {
    let snapshot = template.snapshot().map_err(RestoreError::Snapshot)?;
    let mut machine = qemu.fork(shape, configuration, snapshot).await?;
    spawned();
    match timeout(PATIENCE, machine.resumed()).await {
        Ok(resumed) => resumed?,
        Err(_) => return Err(RestoreError::Slow),
    }
    Ok(machine)
}

/// Why a template was not forked.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    #[error(transparent)]
    Fork(#[from] ForkError),
    #[error("the forked machine was not restored within {PATIENCE:?}")]
    Slow,
    #[error("cannot open the template's memory once more")]
    Snapshot(#[source] std::io::Error),
}

fn sync_in_background(store: Templates, key: Key) {
    // Ends with the process; the template then has to be built again after a power cut.
    std::thread::spawn(move || {
        if let Ok(Some(template)) = store.open(&key)
            && let Err(error) = template.sync()
        {
            tracing::warn!(%error, "a new template would not survive a power cut");
        }
    });
}

/// Restoring takes some 30 ms; a loaded machine may take many times that.
const PATIENCE: Duration = Duration::from_secs(20);
