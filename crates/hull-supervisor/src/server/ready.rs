//! A machine that waits as a clone of one that stands still, and has once done what a start does:
//! where a start writes, its memory is its own already.

use std::fs;
use std::io;
use std::path::Path;

use hull_template::sparse;
use hull_vmm::qemu::QemuMachine;
use hull_vmm::qemu::qmp::QmpError;
use hull_vmm::{Disk, DiskError, Machine, Slot};
use thiserror::Error;

use crate::control::{Failure, FailureCode};
use crate::launch::WaitLaunch;
use crate::paths;

use super::context::chain;
use super::machine::Greeted;
use super::trial;
use super::waiting::{Place, Waiting, practise};
use super::wiring::Spare;
use super::zygote::{self, About, Zygote, ZygoteError};

/// Clones the machine that stands still in `zygote`; the clone is in `place`, and stands still, too,
/// after its rehearsal.
pub(super) async fn make(
    place: &Place,
    launch: &WaitLaunch,
    zygote: &Path,
) -> Result<Waiting, Failure> {
    let (mut machine, about) = clone(place, zygote).await.map_err(|error| boot(&error))?;
    let About { shape, template, kernel, boot_log, wired, .. } = about;
    let mut spare = wired.iter().find_map(Spare::of);
    let (channel, shares) = practise(&mut machine, place, launch, spare.as_mut(), 1).await?;
    let image = match &launch.trial {
        Some(trial) if trial::run(&mut machine, &channel.0, trial, &launch.machine.arch).await => {
            Some(trial.image.clone())
        }
        _ => None,
    };
    rest(&mut machine).await.map_err(|error| boot(&error))?;
    if let Err(error) = write_down(&machine, place, zygote) {
        tracing::debug!(error = chain(&error), "nobody knows what a start writes");
    }
    Ok(Waiting {
        machine,
        stands_still: true,
        image,
        shape,
        template,
        greeted: Greeted { kernel, boot_log, channel: Some(channel) },
        wired: spare.iter().map(Spare::wired).collect(),
        shares,
    })
}

/// Returns a clone that runs and has the disk for a rehearsal, and what its original says of itself.
async fn clone(place: &Place, dir: &Path) -> Result<(QemuMachine, About), Error> {
    sparse::copy(&zygote::rehearsal(dir), &place.image()).map_err(Error::File)?;
    let own = |slot| zygote::disk(place.path(), slot);
    let zygote = Zygote::read(dir)?;
    let mut machine = zygote.clone_machine(dir, NAME, own).await?;
    machine.attach_disk(Slot::Kept, &Disk::at(place.image())).await?;
    machine.resume().await?;
    Ok((machine, zygote.about))
}

/// Has the machine stand still, with nothing of the rehearsal.
async fn rest(machine: &mut QemuMachine) -> Result<(), Error> {
    machine.attach_disk(Slot::Kept, &Disk::Placeholder).await?;
    Ok(machine.pause().await?)
}

/// Writes down what a start writes, for those who clone `zygote` from now on; once.
fn write_down(machine: &QemuMachine, place: &Place, zygote: &Path) -> io::Result<()> {
    let path = zygote.join(paths::WRITTEN);
    if path.exists() {
        return Ok(());
    }
    let new = place.path().join(paths::WRITTEN);
    fs::write(&new, machine.written()?)?;
    fs::rename(new, path)
}

fn boot(error: &dyn std::error::Error) -> Failure {
    Failure::new(FailureCode::Boot, chain(error))
}

/// Why there is no clone.
#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Clone(#[from] ZygoteError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("cannot make the files of a machine that waits")]
    File(#[source] io::Error),
    #[error("talking to the machine failed")]
    Monitor(#[from] QmpError),
}

/// What the host's process list calls it until it has a container.
const NAME: &str = "hull-ready";
