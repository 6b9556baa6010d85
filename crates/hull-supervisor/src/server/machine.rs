//! Makes the container's machine.

use std::future::Future;

use hull_vmm::qemu::probe::{self, ProbeError, Question};
use hull_vmm::{
    Arch, Artifact, Configuration, DeviceSet, Disk, Disks, Machine, MachineType, Qemu, Shape, Vmm,
};

use crate::control::{Failure, FailureCode};
use crate::launch::{Launch, MachineLaunch};

use super::context::{Context, chain};

/// Makes machines; tests have one of their own.
pub(super) trait Launcher {
    type Machine: Machine;

    /// Starts the machine that `context` asks for.
    fn launch(&self, context: &Context) -> impl Future<Output = Result<Self::Machine, Failure>>;
}

/// Starts machines in QEMU.
#[derive(Debug)]
pub(super) struct QemuLauncher;

impl Launcher for QemuLauncher {
    type Machine = <Qemu as Vmm>::Machine;

    async fn launch(&self, context: &Context) -> Result<Self::Machine, Failure> {
        let launch = &context.launch;
        let (qemu, shape) = plan(launch).await?;
        context.note(|state| state.accelerator = Some(shape.accelerator.name().to_owned()));
        context.mark(|timings| &mut timings.planned);
        let configuration = Configuration {
            name: format!("hull-{}", launch.container.get(..12).unwrap_or(&launch.container)),
            working_dir: launch.machine.home.clone(),
            disks: Disks {
                image: Disk::at(&launch.disks.image),
                scratch: launch.disks.scratch.as_ref().map(Disk::at).unwrap_or_default(),
                kept: Disk::Placeholder,
            },
        };
        let machine = qemu.boot(&shape, configuration).await;
        machine.map_err(|error| Failure::new(FailureCode::Boot, chain(&error)))
    }
}

/// Returns the QEMU and the shape for `launch`.
async fn plan(launch: &Launch) -> Result<(Qemu, Shape), Failure> {
    let machine = &launch.machine;
    let arch = Arch::parse(&machine.arch).ok_or_else(|| {
        let message = format!("there is no guest for architecture `{}`", machine.arch);
        Failure::new(FailureCode::Invalid, message)
    })?;
    let file = |what: &str, path: &std::path::Path| {
        Artifact::at(path).map_err(|error| Failure {
            code: FailureCode::Boot,
            message: format!("cannot read the {what} `{}`: {error}", path.display()),
            hint: Some("`make build` makes the guest kernel and agent".to_owned()),
        })
    };
    let kernel = file("guest kernel", &machine.kernel)?;
    let agent = file("guest agent", &machine.agent)?;
    let answer = probe::ask(Question {
        cache: &machine.probe_cache,
        arch,
        program: machine.qemu.as_deref(),
        choice: machine.accelerator,
        kernel: &kernel,
        agent: &agent,
    })
    .await
    .map_err(|error| Failure {
        code: FailureCode::Boot,
        message: chain(&error),
        hint: match &error {
            ProbeError::Find(error) => Some(error.hint().to_owned()),
            _ => None,
        },
    })?;
    let shape = Shape {
        arch,
        machine: MachineType::of(arch),
        kernel,
        agent,
        vmm: format!("QEMU {}", answer.qemu.version()),
        program: answer.program,
        accelerator: answer.accelerator,
        cpu: answer.accelerator.cpu_model(arch).to_owned(),
        host_cpu: answer.host_cpu,
        vcpus: machine.vcpus.max(1),
        memory_mib: memory_mib(machine)?,
        devices: DeviceSet {
            image: true,
            scratch: launch.disks.scratch.is_some(),
            kept: false,
            balloon: true,
            spare_ports: 0,
        },
        clock: answer.clock,
        format: Shape::FORMAT,
    };
    Ok((answer.qemu, shape))
}

/// Returns the machine's memory: the container's, which its cgroup limits exactly, and what kernel
/// and agent need beside it.
fn memory_mib(machine: &MachineLaunch) -> Result<u32, Failure> {
    let container = machine.memory.div_ceil(1 << 20);
    // Page structures are 1/64 of the memory that they describe.
    let total = container + FIXED_MIB + container / 64;
    u32::try_from(total)
        .ok()
        .filter(|_| machine.memory > 0)
        .map(|mib| mib.next_multiple_of(2))
        .ok_or_else(|| {
            let message = format!("a machine cannot have {} bytes of memory", machine.memory);
            Failure::new(FailureCode::Invalid, message)
        })
}

/// Kernel code and data, agent and initial file system.
const FIXED_MIB: u64 = 64;
