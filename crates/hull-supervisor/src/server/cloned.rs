//! A container's machine as a clone of one that stands still.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hull_share::{Server, Share};
use hull_vmm::qemu::QemuMachine;
use hull_vmm::{CloneError, Disk, Machine, Slot};
use tokio::time::timeout;

use crate::state::{Mode, Origin};

use super::context::Context;
use super::machine::{Greeted, Launched, name_of};
use super::scratch::Spare;
use super::shares;
use super::zygote::{About, Zygote, ZygoteError};

/// A writable disk that a machine has open.
#[derive(Debug)]
pub(super) struct OpenDisk {
    pub(super) slot: Slot,
    /// It may have no name.
    pub(super) file: File,
}

impl OpenDisk {
    /// Opens the disk in `slot`, to copy it one day.
    pub(super) fn open(slot: Slot, path: &Path) -> io::Result<Self> {
        Ok(Self { slot, file: File::open(path)? })
    }
}

/// Clones the machine that waits in the directory `place`.
pub(super) async fn clone(
    context: &Context,
    place: &Path,
) -> Result<Launched<QemuMachine>, ZygoteError> {
    let launch = &context.launch;
    let zygote = Zygote::read(place)?;
    let accelerator = zygote.about.shape.accelerator.name();
    context.note(|state| state.accelerator = Some(accelerator.to_owned()));
    // A container that starts again has its disk in another slot: the guest has one mounted.
    let kept = launch.disks.scratch.as_deref().filter(|path| path.exists());
    let writable = match (&zygote.about.running, kept) {
        (Some(running), _) => running.writable,
        (None, Some(_)) => Slot::Kept,
        (None, None) => Slot::Scratch,
    };
    let spare = Spare::new(context.dir()).map_err(ZygoteError::Disk)?;
    let path_of = |slot| match (&launch.disks.scratch, slot == writable) {
        (Some(path), true) => path.clone(),
        _ => spare.path().to_owned(),
    };
    let made = timeout(PATIENCE, make(context, &zygote, place, kept, path_of)).await;
    let made = made.unwrap_or(Err(ZygoteError::Clone(CloneError::Silent)));
    let (machine, disks, shares) = match made {
        Ok(made) => made,
        Err(error) => {
            if kept.is_none() {
                // Nobody has written to it; the next way to get a machine makes its own.
                let _ = fs::remove_file(path_of(writable));
            }
            return Err(error);
        }
    };
    context.mark(|timings| &mut timings.restored);
    let About { shape, template, kernel, boot_log, running, wired, .. } = zygote.about;
    let (mode, reason) = match &running {
        Some(running) => (Mode::Fork, Some(format!("fork of container {}", running.container))),
        None => (Mode::Pool, None),
    };
    Ok(Launched {
        machine,
        origin: Origin { mode, reason, template, warnings: Vec::new() },
        writable,
        greeted: Some(Greeted { kernel, boot_log, channel: None }),
        shape: Some(shape),
        disks,
        running,
        wired,
        shares,
    })
}

async fn make(
    context: &Context,
    zygote: &Zygote,
    place: &Path,
    kept: Option<&Path>,
    path_of: impl Fn(Slot) -> PathBuf,
) -> Result<(QemuMachine, Vec<OpenDisk>, Option<Server>), ZygoteError> {
    let mut machine = zygote.clone_machine(place, &name_of(context), &path_of).await?;
    context.mark(|timings| &mut timings.vmm_spawned);
    let open = |slot: &Slot| OpenDisk::open(*slot, &path_of(*slot)).map_err(ZygoteError::Disk);
    let mut disks = zygote.about.disks.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut shares = None;
    if let Some(running) = &zygote.about.running {
        if running.shares {
            let place = place.to_owned();
            let take = move |server: &Server, all: &[Share]| shares::take_over(server, all, &place);
            let resumed = shares::resume(&context.launch.shares, &mut machine, take).await;
            shares = Some(resumed.map_err(ZygoteError::Shares)?.0);
        }
    } else {
        machine.attach_disk(Slot::Image, &Disk::at(&context.launch.disks.image)).await?;
        if let Some(kept) = kept {
            machine.attach_disk(Slot::Kept, &Disk::at(kept)).await?;
            disks.push(OpenDisk::open(Slot::Kept, kept).map_err(ZygoteError::Disk)?);
        }
    }
    let resumed = machine.resume().await;
    resumed.map_err(|source| ZygoteError::Clone(CloneError::Monitor(source)))?;
    Ok((machine, disks, shares))
}

/// A clone takes some milliseconds; a loaded machine may take many times that.
const PATIENCE: Duration = Duration::from_secs(20);
