//! What machine a container needs: the same for all who start one or make its template.

use hull_vmm::qemu::probe::{self, ProbeError, Question};
use hull_vmm::{Arch, Artifact, DeviceSet, MachineType, Qemu, Shape};

use crate::control::{Failure, FailureCode};
use crate::launch::MachineLaunch;

use crate::server::chain;

/// Returns the QEMU and the shape for `machine`, with `writable` disks or none.
///
/// # Errors
/// There is no QEMU, kernel or agent that can be used, or no such machine.
pub async fn plan(machine: &MachineLaunch, writable: bool) -> Result<(Qemu, Shape), Failure> {
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
            scratch: writable,
            kept: writable,
            balloon: true,
            spare_ports: SPARE_PORTS,
        },
        clock: answer.clock,
        format: Shape::FORMAT,
    };
    let qemu = match &machine.fork_library {
        Some(path) => answer.qemu.with_library(path.clone()),
        None => answer.qemu,
    };
    Ok((qemu, shape))
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

/// Network interfaces that a machine has room for.
const SPARE_PORTS: u8 = 8;
/// Kernel code and data, agent and initial file system.
const FIXED_MIB: u64 = 64;
