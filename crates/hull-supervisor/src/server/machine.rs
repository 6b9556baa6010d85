//! Makes the container's machine: a fork of a template, or a cold boot.

use std::future::Future;
use std::path::PathBuf;
use std::time::Instant;

use hull_guest::{Events, Guest};
use hull_template::Template;
use hull_vmm::{Configuration, Disk, Disks, Machine, Qemu, Shape, Slot, Vmm};

use crate::control::{Failure, FailureCode};
use crate::launch::{StartFrom, TemplatesLaunch};
use crate::shape;
use crate::state::{Mode, Origin};

use super::cloned::{self, OpenDisk};
use super::context::{Context, chain};
use super::restored;
use super::scratch;
use super::template::{self, RestoreError};
use super::wiring::Wired;
use super::zygote::Running;

/// Makes machines; tests have one of their own.
pub(super) trait Launcher {
    type Machine: Machine + Send + 'static;

    /// Starts the machine that `context` asks for.
    fn launch(
        &self,
        context: &Context,
    ) -> impl Future<Output = Result<Launched<Self::Machine>, Failure>>;
}

/// A machine that was started.
#[derive(Debug)]
pub(super) struct Launched<M> {
    pub(super) machine: M,
    pub(super) origin: Origin,
    /// Where the container's writable disk is.
    pub(super) writable: Slot,
    /// The agent has been greeted by the template's builder; the guest runs.
    pub(super) greeted: Option<Greeted>,
    /// What the machine is; `None`: it cannot be copied.
    pub(super) shape: Option<Shape>,
    /// Writable disks of a machine that can be copied.
    pub(super) disks: Vec<OpenDisk>,
    /// The container, if it runs already.
    pub(super) running: Option<Running>,
    /// Network interfaces that it has already.
    pub(super) wired: Vec<Wired>,
    /// Serves directories to it already: those of the container if that runs, else others.
    pub(super) shares: Option<hull_share::Server>,
}

/// What the agent of a fork said when its template was built.
#[derive(Debug, Default)]
pub(super) struct Greeted {
    /// `uname -r` and `uname -m` of the guest.
    pub(super) kernel: Option<String>,
    /// What the kernel had logged in the template.
    pub(super) boot_log: String,
    /// The channel, if it is in use already.
    pub(super) channel: Option<(Guest, Events)>,
}

impl Greeted {
    /// Returns what the agent of every fork of `template` has said.
    pub(super) fn of(template: &Template, channel: Option<(Guest, Events)>) -> Self {
        Self {
            kernel: template.kernel().map(str::to_owned),
            boot_log: template.boot_log(),
            channel,
        }
    }
}

/// Starts machines in QEMU.
#[derive(Debug, Default)]
pub(super) struct QemuLauncher {
    /// Directory of a machine to clone.
    pub(super) zygote: Option<PathBuf>,
}

impl Launcher for QemuLauncher {
    type Machine = <Qemu as Vmm>::Machine;

    async fn launch(&self, context: &Context) -> Result<Launched<Self::Machine>, Failure> {
        match &context.launch.from {
            // It is that container or none.
            Some(StartFrom::Clone(dir)) => {
                let launched = cloned::clone(context, dir).await;
                return launched.map_err(|error| Failure::new(FailureCode::Boot, chain(&error)));
            }
            Some(StartFrom::Checkpoint { dir, network }) => {
                return restored::restore(context, dir, network).await;
            }
            None => {}
        }
        if let Some(zygote) = &self.zygote {
            match cloned::clone(context, zygote).await {
                Ok(launched) => return Ok(launched),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "a machine of the pool is of no use");
                }
            }
        }
        let launch = &context.launch;
        let (qemu, shape) = shape::plan(&launch.machine, launch.disks.scratch.is_some()).await?;
        context.note(|state| state.accelerator = Some(shape.accelerator.name().to_owned()));
        context.mark(|timings| &mut timings.planned);
        let reason = match &context.launch.templates {
            Some(templates) => match fork(context, templates, &qemu, &shape).await {
                Ok(launched) => return Ok(launched),
                Err(reason) => reason,
            },
            None => "templates are switched off".to_owned(),
        };
        boot(context, &qemu, &shape, reason).await
    }
}

/// Forks the machine from a template, which is built if there is none. Returns why not.
async fn fork(
    context: &Context,
    templates: &TemplatesLaunch,
    qemu: &Qemu,
    shape: &Shape,
) -> Result<Launched<<Qemu as Vmm>::Machine>, String> {
    let begin = Instant::now();
    let obtained = template::obtain(templates, qemu, shape).await.map_err(|error| chain(&error))?;
    let template = obtained.template;
    if obtained.is_new {
        let took = u64::try_from(begin.elapsed().as_micros()).ok();
        context.note(|state| state.timings.template_built = took);
    }
    context.mark(|timings| &mut timings.template_ready);
    let forked = fork_from(context, &template, qemu, shape).await;
    forked.map_err(|error| {
        // Whatever is wrong with it, a new one costs a boot; a bad one costs every start.
        if let Error::Restore(RestoreError::Fork(_)) = &error
            && let Err(error) = template::store(templates).remove(template.key())
        {
            tracing::warn!(%error, "cannot remove a template that cannot be forked");
        }
        chain(&error)
    })
}

async fn fork_from(
    context: &Context,
    template: &Template,
    qemu: &Qemu,
    shape: &Shape,
) -> Result<Launched<<Qemu as Vmm>::Machine>, Error> {
    let mut disks = Disks { image: Disk::at(&context.launch.disks.image), ..Disks::default() };
    let mut spare = None;
    let writable = match &context.launch.disks.scratch {
        // The guest has a disk like this one mounted: it gets one, if only to find it there.
        Some(path) if path.exists() => {
            spare = Some(scratch::spare(context.dir(), template).map_err(Error::Disk)?);
            disks.scratch = spare.as_ref().map(|file| Disk::at(file.path())).unwrap_or_default();
            disks.kept = Disk::at(path);
            Slot::Kept
        }
        Some(path) => {
            template.copy_scratch(path).map_err(Error::Disk)?;
            disks.scratch = Disk::at(path);
            Slot::Scratch
        }
        None => Slot::Scratch,
    };
    let spawned = || context.mark(|timings| &mut timings.vmm_spawned);
    let machine =
        template::restore(template, qemu, shape, configuration(context, disks), spawned).await?;
    let opened = match (&context.launch.disks.scratch, &spare) {
        (Some(kept), Some(spare)) => {
            vec![(Slot::Scratch, spare.path()), (Slot::Kept, kept.as_path())]
        }
        (Some(scratch), None) => vec![(Slot::Scratch, scratch.as_path())],
        (None, _) => Vec::new(),
    };
    let opened = opened.into_iter().map(|(slot, path)| OpenDisk::open(slot, path));
    let opened = opened.collect::<Result<_, _>>().map_err(Error::Disk)?;
    // It is open, and nobody else needs its name.
    drop(spare);
    context.mark(|timings| &mut timings.restored);
    let origin = Origin {
        mode: Mode::Fork,
        reason: None,
        template: Some(template.key().as_str().to_owned()),
        warnings: Vec::new(),
    };
    let greeted = Some(Greeted::of(template, None));
    let (shape, disks) = (Some(shape.clone()), opened);
    Ok(Launched {
        machine,
        origin,
        writable,
        greeted,
        shape,
        disks,
        running: None,
        wired: Vec::new(),
        shares: None,
    })
}

/// Boots a machine because of `reason`.
async fn boot(
    context: &Context,
    qemu: &Qemu,
    shape: &Shape,
    reason: String,
) -> Result<Launched<<Qemu as Vmm>::Machine>, Failure> {
    let launch = &context.launch;
    if let Some(path) = &launch.disks.scratch
        && !path.exists()
    {
        scratch::make(path).map_err(|error| {
            let message = format!("cannot make the disk `{}`: {error}", path.display());
            Failure::new(FailureCode::Failed, message)
        })?;
    }
    let disks = Disks {
        image: Disk::at(&launch.disks.image),
        scratch: launch.disks.scratch.as_ref().map(Disk::at).unwrap_or_default(),
        kept: Disk::Placeholder,
    };
    let machine = qemu.boot(shape, configuration(context, disks)).await;
    let machine = machine.map_err(|error| Failure::new(FailureCode::Boot, chain(&error)))?;
    context.mark(|timings| &mut timings.vmm_spawned);
    let origin = Origin::cold(Some(reason));
    Ok(Launched {
        machine,
        origin,
        writable: Slot::Scratch,
        greeted: None,
        shape: None,
        disks: Vec::new(),
        running: None,
        wired: Vec::new(),
        shares: None,
    })
}

pub(super) fn configuration(context: &Context, disks: Disks) -> Configuration {
    Configuration {
        name: name_of(context),
        working_dir: context.launch.machine.home.clone(),
        disks,
    }
}

/// What the host's process list calls the machine.
pub(super) fn name_of(context: &Context) -> String {
    let container = &context.launch.container;
    format!("hull-{}", container.get(..12).unwrap_or(container))
}

/// Why a template was not forked.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot make the machine's disk")]
    Disk(#[source] std::io::Error),
    #[error(transparent)]
    Restore(#[from] RestoreError),
}
