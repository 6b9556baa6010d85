//! A machine that was forked ahead and waits for its container.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hull_guest::{Events, Guest};
use hull_protocol::Kind;
use hull_share::Share;
use hull_template::image::TIMES;
use hull_template::sparse;
use hull_vmm::qemu::qmp::QmpError;
use hull_vmm::{
    CloneError, Configuration, Disk, DiskError, Disks, Machine, Qemu, Shape, Slot, Vmm,
};
use thiserror::Error;
use tokio::net::UnixStream;

use crate::control::{Failure, FailureCode, Notice, Operation};
use crate::launch::WaitLaunch;
use crate::paths;
use crate::shape;
use crate::state::{Mode, Origin};
use crate::wire::{FrameReader, invalid, parse, write_json};

use super::cloned::OpenDisk;
use super::context::{Context, chain};
use super::machine::{Greeted, Launched, Launcher, QemuLauncher, name_of};
use super::wiring::{Spare, Wired};
use super::zygote::{self, About, ZygoteError};
use super::{RunError, ready, rehearsal, shares, template};

/// Makes a machine as `dir` says, waits for a claim on `control`, and returns the directory of the
/// container with what starts it in that machine; `None` if nobody will claim it any more.
pub(super) async fn wait(
    dir: &Path,
    control: &mut UnixStream,
) -> Result<Option<(PathBuf, Prepared)>, RunError> {
    let place = Place(dir.to_owned());
    let path = dir.join(paths::WAIT);
    let launch: WaitLaunch = fs::read(&path)
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(invalid))
        .map_err(|source| RunError::Launch { path, source })?;
    let making = async {
        match &launch.zygote {
            Some(zygote) => ready::make(&place, &launch, zygote).await,
            None => make(&place, &launch).await,
        }
    };
    let made = tokio::select! {
        made = making => made,
        // Nothing is asked for before it waits.
        _ = control.readable() => return Ok(None),
    };
    let mut waiting = match made {
        Ok(waiting) => waiting,
        Err(failure) => {
            let _ = write_json(control, Kind::Event, &Notice::Failed(failure)).await;
            return Ok(None);
        }
    };
    let notice = match launch.zygote {
        Some(_) => Notice::Waiting,
        None => waiting.offer_or_keep(&place).await,
    };
    if write_json(control, Kind::Event, &notice).await.is_err() {
        return Ok(None);
    }
    let claim = claim(control);
    let dir = tokio::select! {
        dir = claim => dir,
        // The daemon sees the connection close.
        _ = waiting.machine.wait() => None,
    };
    Ok(dir.map(|dir| {
        log_into(&dir);
        let next = QemuLauncher { zygote: launch.zygote };
        (dir, Prepared { waiting: RefCell::new(Some((waiting, place))), next })
    }))
}

/// Returns the directory that the daemon names; `None` if it goes away.
async fn claim(control: &mut UnixStream) -> Option<PathBuf> {
    // The daemon says no more until it has been answered: the reader keeps nothing back.
    let frame = FrameReader::new(control).next().await.ok()??;
    match parse(&frame) {
        Ok(Operation::Claim { dir }) if frame.kind == Kind::Request => Some(dir),
        _ => None,
    }
}

/// Starts a container in a machine that has waited for it.
#[derive(Debug)]
pub(super) struct Prepared {
    waiting: RefCell<Option<(Waiting, Place)>>,
    /// What starts the container if the machine is of no use.
    next: QemuLauncher,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) machine: <Qemu as Vmm>::Machine,
    /// Until it has a container.
    pub(super) stands_still: bool,
    /// The image that it has, and is for; `None`: any.
    pub(super) image: Option<PathBuf>,
    pub(super) shape: Shape,
    /// Key of its template.
    pub(super) template: Option<String>,
    pub(super) greeted: Greeted,
    pub(super) wired: Vec<Wired>,
    pub(super) shares: hull_share::Server,
}

impl Waiting {
    /// Has the machine be cloned, if it can be.
    async fn offer_or_keep(&mut self, place: &Place) -> Notice {
        match self.offer(place).await {
            Ok(()) => Notice::Zygote,
            Err(error) => {
                tracing::debug!(error = chain(&error), "the machine is used once");
                Notice::Waiting
            }
        }
    }

    /// Has the machine stand still and be cloned.
    async fn offer(&mut self, place: &Place) -> Result<(), ZygoteError> {
        if !self.machine.is_cloneable() {
            return Err(ZygoteError::Clone(CloneError::Unsuited));
        }
        self.machine.attach_disk(Slot::Kept, &Disk::Placeholder).await?;
        let paused = self.machine.pause().await;
        paused.map_err(|source| ZygoteError::Clone(CloneError::Monitor(source)))?;
        let about = About {
            shape: self.shape.clone(),
            template: self.template.clone(),
            kernel: self.greeted.kernel.clone(),
            boot_log: self.greeted.boot_log.clone(),
            disks: vec![Slot::Scratch],
            running: None,
            wired: self.wired.clone(),
        };
        let offered = zygote::offer(&mut self.machine, &place.0, about).await;
        if offered.is_err() {
            let _ = self.machine.resume().await;
        }
        offered
    }
}

impl Launcher for Prepared {
    type Machine = <Qemu as Vmm>::Machine;

    async fn launch(&self, context: &Context) -> Result<Launched<Self::Machine>, Failure> {
        let prepared = self.waiting.borrow_mut().take();
        if let Some((mut waiting, place)) = prepared {
            match furnish(context, &mut waiting, &place).await {
                Ok((writable, disks)) => {
                    let accelerator = waiting.shape.accelerator.name();
                    context.note(|state| state.accelerator = Some(accelerator.to_owned()));
                    context.mark(|timings| &mut timings.restored);
                    return Ok(Launched {
                        machine: waiting.machine,
                        origin: Origin {
                            mode: Mode::Pool,
                            reason: None,
                            template: waiting.template,
                            warnings: Vec::new(),
                        },
                        writable,
                        greeted: Some(waiting.greeted),
                        shape: Some(waiting.shape),
                        disks,
                        running: None,
                        wired: waiting.wired,
                        shares: Some(waiting.shares),
                    });
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "a machine of the pool is of no use");
                    waiting.machine.kill();
                    waiting.machine.wait().await;
                }
            }
        }
        self.next.launch(context).await
    }
}

/// Gives the machine the container's disks and name, and has it run.
async fn furnish(
    context: &Context,
    waiting: &mut Waiting,
    place: &Place,
) -> Result<(Slot, Vec<OpenDisk>), FurnishError> {
    let disks = &context.launch.disks;
    let machine = &mut waiting.machine;
    if machine.is_stopped() {
        // It would be waited for.
        return Err(FurnishError::Stopped);
    }
    let read = |path: &Path| {
        let path = path.to_owned();
        move |source| DiskError::Read { path, source }
    };
    let mounted = place.scratch();
    let mut open = vec![OpenDisk::open(Slot::Scratch, &mounted).map_err(read(&mounted))?];
    match &waiting.image {
        Some(image) if *image == disks.image => {}
        Some(image) => return Err(FurnishError::Image(image.clone())),
        None => machine.attach_disk(Slot::Image, &Disk::at(&disks.image)).await?,
    }
    let writable = match &disks.scratch {
        Some(path) if path.exists() => {
            machine.attach_disk(Slot::Kept, &Disk::at(path)).await?;
            open.push(OpenDisk::open(Slot::Kept, path).map_err(read(path))?);
            Slot::Kept
        }
        Some(path) => {
            // The machine has it open: under whatever name, it is the container's now.
            fs::rename(&mounted, path).map_err(read(path))?;
            Slot::Scratch
        }
        None => Slot::Scratch,
    };
    if waiting.stands_still {
        // Nothing else depends on it.
        let _ = machine.rename(&name_of(context)).await;
        machine.resume().await?;
    }
    Ok((writable, open))
}

/// Why a container does not get the machine that has waited for it.
#[derive(Debug, Error)]
enum FurnishError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("it is for containers of {0}")]
    Image(PathBuf),
    #[error("cannot let the machine go on")]
    Resume(#[from] QmpError),
    #[error("the machine's process has been stopped by a signal")]
    Stopped,
}

async fn make(place: &Place, launch: &WaitLaunch) -> Result<Waiting, Failure> {
    let fail = |error: &dyn std::error::Error| Failure::new(FailureCode::Boot, chain(error));
    let (qemu, shape) = shape::plan(&launch.machine, true).await?;
    let obtained = template::obtain(&launch.templates, &qemu, &shape).await;
    let template = obtained.map_err(|error| fail(&error))?.template;
    template.copy_scratch(&place.scratch()).map_err(|error| fail(&error))?;
    sparse::copy(&template.rehearsal(), &place.image()).map_err(|error| fail(&error))?;
    let configuration = Configuration {
        name: "hull-pool".to_owned(),
        working_dir: launch.machine.home.clone(),
        disks: Disks {
            image: Disk::Placeholder,
            scratch: Disk::at(place.scratch()),
            kept: Disk::at(place.image()),
        },
    };
    let restored = template::restore(&template, &qemu, &shape, configuration, || {}).await;
    let mut machine = restored.map_err(|error| fail(&error))?;
    let mut spare = Spare::plug(&mut machine, &launch.network, &launch.machine.home).await;
    let (channel, shares) = practise(&mut machine, place, launch, spare.as_mut(), TIMES).await?;
    Ok(Waiting {
        machine,
        stands_still: false,
        image: None,
        shape,
        template: Some(template.key().as_str().to_owned()),
        greeted: Greeted::of(&template, Some(channel)),
        wired: spare.iter().map(Spare::wired).collect(),
        shares,
    })
}

/// Has a machine with the disk for it run a container for practice, so many `times`, and returns its
/// guest and what serves it.
pub(super) async fn practise(
    machine: &mut impl Machine,
    place: &Place,
    launch: &WaitLaunch,
    spare: Option<&mut Spare>,
    times: u32,
) -> Result<((Guest, Events), hull_share::Server), Failure> {
    let fail = |error: &dyn std::error::Error| Failure::new(FailureCode::Boot, chain(error));
    let stream = machine
        .take_channel()
        .ok_or_else(|| Failure::new(FailureCode::Boot, "the machine has no channel"))?;
    let (guest, mut events) = Guest::resume(stream);
    let shares = shares::listen(machine)?;
    fs::create_dir(place.share()).map_err(|error| fail(&error))?;
    let practice = Share { source: place.share(), ..Share::default() };
    shares.set(&[practice]).map_err(|error| fail(&error))?;
    let spec = (&launch.rehearsal, launch.machine.arch.as_str());
    rehearsal::run(&guest, &mut events, spec, spare, times).await?;
    Ok(((guest, events), shares))
}

/// The directory of a machine that waits, which goes with it.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn scratch(&self) -> PathBuf {
        zygote::disk(&self.0, Slot::Scratch)
    }

    pub(super) fn image(&self) -> PathBuf {
        zygote::rehearsal(&self.0)
    }

    /// What the container that is run for practice is given.
    fn share(&self) -> PathBuf {
        self.0.join("share")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left, the next daemon removes.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Has what this process says go where a supervisor of the container in `dir` would say it.
fn log_into(dir: &Path) {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(dir.join(paths::SUPERVISOR_LOG));
    // Without it the messages go with the pool's directory.
    let _ = log.and_then(|log| rustix::stdio::dup2_stderr(&log).map_err(io::Error::from));
}
