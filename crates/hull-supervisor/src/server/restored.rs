//! A container that goes on from a checkpoint.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hull_protocol::VERSION;
use hull_share::{Server, Share};
use hull_template::sparse;
use hull_vmm::qemu::QemuMachine;
use hull_vmm::{Disk, Disks, Machine, NicPlace, Saved, Slot, Vmm};
use serde::{Deserialize, Serialize};

use crate::control::{Failure, FailureCode};
use crate::paths;
use crate::shape;
use crate::state::{Mode, Origin};
use crate::wire::invalid;

use super::cloned::OpenDisk;
use super::context::{Context, chain};
use super::machine::{Greeted, Launched, configuration};
use super::scratch::Spare;
use super::zygote::{self, About};
use super::{kept, shares, wiring};

/// What a checkpoint is of: `checkpoint.json` in its directory.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Checkpoint {
    /// Version of the protocol that the agent in its memory speaks.
    pub(super) protocol: u32,
    pub(super) about: About,
    /// Network interfaces of the machine, also those that its container does not see.
    pub(super) nics: Vec<NicPlace>,
}

/// Starts the machine that was saved in `dir`; `program` is as in
/// [`crate::launch::NetworkLaunch`].
pub(super) async fn restore(
    context: &Context,
    dir: &Path,
    program: &Path,
) -> Result<Launched<QemuMachine>, Failure> {
    let path = dir.join(paths::CHECKPOINT);
    let read = || serde_json::from_slice(&fs::read(&path)?).map_err(invalid);
    let checkpoint: Checkpoint = read().map_err(|error| damaged(dir, &error))?;
    let About { shape, template, kernel, boot_log, disks, running, wired } = checkpoint.about;
    let running = running.ok_or_else(|| damaged(dir, &io::ErrorKind::InvalidData.into()))?;
    let (qemu, now) = shape::plan(&context.launch.machine, true).await?;
    context.note(|state| state.accelerator = Some(shape.accelerator.name().to_owned()));
    if shape.vmm != now.vmm || checkpoint.protocol != VERSION {
        return Err(Failure {
            code: FailureCode::Invalid,
            message: format!(
                "the checkpoint was made with {} and version {} of the agent's protocol, this is {} \
                 and {VERSION}",
                shape.vmm, checkpoint.protocol, now.vmm
            ),
            hint: Some("only what made a checkpoint can start from it".to_owned()),
        });
    }
    let place =
        Place::new(context, &disks, running.writable).map_err(|error| io_failure(&error))?;
    place.fill(dir).map_err(|error| io_failure(&error))?;
    let state = File::open(dir.join(paths::MACHINE)).map_err(|error| damaged(dir, &error))?;
    let mut machine_disks =
        Disks { image: Disk::at(&context.launch.disks.image), ..Disks::default() };
    for slot in &disks {
        let disk = Disk::at(place.path(*slot));
        match slot {
            Slot::Image => {}
            Slot::Kept => machine_disks.kept = disk,
            Slot::Scratch => machine_disks.scratch = disk,
        }
    }
    let mut nics = Vec::new();
    for place in checkpoint.nics {
        // The container gets its own when it has joined its networks.
        let tap = wiring::tap(program, &context.launch.machine.home, None).await;
        let tap = tap.map_err(|error| Failure::new(FailureCode::Network, chain(&error)))?;
        nics.push((place, tap));
    }
    let saved = Saved { state: state.into(), nics };
    let boot = |error: &dyn std::error::Error| Failure::new(FailureCode::Boot, chain(error));
    let restored = qemu.restore(&shape, configuration(context, machine_disks), saved).await;
    let mut machine = restored.map_err(|error| boot(&error))?;
    context.mark(|timings| &mut timings.vmm_spawned);
    let open = |slot: &Slot| OpenDisk::open(*slot, &place.path(*slot));
    let opened = disks.iter().map(open).collect::<io::Result<_>>();
    let opened = opened.map_err(|error| io_failure(&error))?;
    let mut warnings = Vec::new();
    let mut shares = None;
    if running.shares {
        let (dir, scratch) = (dir.to_owned(), context.dir().to_owned());
        let restore =
            move |server: &Server, all: &[Share]| kept::restore(server, all, &dir, &scratch);
        let resumed = shares::resume(&context.launch.shares, &mut machine, restore).await;
        let (server, gone) = resumed?;
        warnings.extend(gone.iter().map(|path| warning(path)));
        shares = Some(server);
    }
    // From here on the container is what it was then.
    place.keep().map_err(|error| io_failure(&error))?;
    machine.resume().await.map_err(|error| boot(&error))?;
    context.mark(|timings| &mut timings.restored);
    let reason = Some("start from a checkpoint".to_owned());
    Ok(Launched {
        machine,
        origin: Origin { mode: Mode::Fork, reason, template, warnings },
        writable: running.writable,
        greeted: Some(Greeted { kernel, boot_log, channel: None }),
        shape: Some(shape),
        disks: opened,
        running: Some(running),
        wired,
        shares,
    })
}

/// Where the disks of the machine are, until it is certain that it runs.
struct Place<'a> {
    disks: &'a [Slot],
    writable: Slot,
    /// The container's own disk.
    own: Option<PathBuf>,
    new: PathBuf,
    spare: Spare,
}

impl<'a> Place<'a> {
    fn new(context: &Context, disks: &'a [Slot], writable: Slot) -> io::Result<Self> {
        let new = context.dir().join("restored.ext4");
        super::remove(&new)?;
        let own = context.launch.disks.scratch.clone();
        Ok(Self { disks, writable, own, new, spare: Spare::new(context.dir())? })
    }

    fn path(&self, slot: Slot) -> PathBuf {
        if slot == self.writable { self.new.clone() } else { self.spare.path().to_owned() }
    }

    /// Copies the disks of the checkpoint in `dir`.
    fn fill(&self, dir: &Path) -> io::Result<()> {
        self.disks
            .iter()
            .try_for_each(|slot| sparse::copy(&zygote::disk(dir, *slot), &self.path(*slot)))
    }

    /// Makes the new disk the container's.
    fn keep(&self) -> io::Result<()> {
        match &self.own {
            Some(own) if self.disks.contains(&self.writable) => fs::rename(&self.new, own),
            _ => Ok(()),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // It is not there any more if it has been kept.
        let _ = fs::remove_file(&self.new);
    }
}

/// Says of an open file that it has gone.
fn warning(path: &Path) -> String {
    format!("`{}`, which the container had open, has gone or is another file now", path.display())
}

fn damaged(dir: &Path, error: &io::Error) -> Failure {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    Failure::new(FailureCode::Invalid, format!("checkpoint {name} is damaged: {error}"))
}

fn io_failure(error: &io::Error) -> Failure {
    Failure::new(FailureCode::Failed, format!("cannot copy the checkpoint's disk: {error}"))
}
