//! Finds out what a host's QEMU can really do, once, and remembers it.
//!
//! That `/dev/kvm` opens and makes a vCPU says little: there are hosts where an ordinary kernel
//! then spins for ever. So the probe boots the real kernel with the real agent and waits for the
//! agent to open its channel.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::accel::{Accelerator, Choice};
use crate::disk::Disks;
use crate::kernel_check::{self, KernelError, KernelFacts};
use crate::machine::{Configuration, Machine, Vmm};
use crate::platform;
use crate::shape::{Arch, Artifact, DeviceSet, GuestClock, MachineType, Shape};

use super::{FindError, Qemu, QemuMachine, Version};

/// What to find out.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Where answers are remembered; the directory must exist.
    pub cache: &'a Path,
    pub arch: Arch,
    /// QEMU to use; `None`: [`super::find`] one.
    pub program: Option<&'a Path>,
    pub choice: Choice,
    pub kernel: &'a Artifact,
    pub agent: &'a Artifact,
}

/// What was found out.
#[derive(Clone, Debug)]
pub struct Answer {
    pub qemu: Qemu,
    /// QEMU's binary.
    pub program: Artifact,
    pub accelerator: Accelerator,
    /// The host's CPU, if `accelerator` shows it to guests.
    pub host_cpu: Option<String>,
    /// Why the host's hardware accelerator is not used, if it was not the user's choice.
    pub reason: Option<String>,
    pub kernel: KernelFacts,
    pub clock: GuestClock,
}

/// Answers `question`, from memory if nothing has changed since.
///
/// # Errors
/// [`ProbeError`].
pub async fn ask(question: Question<'_>) -> Result<Answer, ProbeError> {
    let found;
    let program = match question.program {
        Some(program) => program,
        None => {
            found = super::find(question.arch)?;
            &found
        }
    };
    let program = Artifact::at(program)
        .map_err(|source| FindError::Unusable { program: program.to_owned(), source })?;
    let boot = platform::host_boot().map_err(ProbeError::Host)?;
    if let Some(answer) = Memory::read(question.cache).answer(&question, &program, &boot)? {
        return Ok(answer);
    }
    // Many supervisors may start at once; one asks, the others wait for its answer.
    let _lock = lock(question.cache.to_owned()).await?;
    let mut memory = Memory::read(question.cache);
    if let Some(answer) = memory.answer(&question, &program, &boot)? {
        return Ok(answer);
    }
    let version = match memory.version(&program) {
        Some(version) => version,
        None => version_of(&program.path).await?,
    };
    let qemu = Qemu::new(program.path.clone(), version);
    let facts = kernel_check::check(&question.kernel.path, question.arch)?;
    let tsc_khz = match question.arch {
        Arch::X86_64 => platform::tsc_khz(),
        Arch::Aarch64 => None,
    };
    let hardware = match (question.choice, Accelerator::of_host(question.arch)) {
        (Choice::Auto, Some(accelerator)) => Some(Hardware {
            agent: question.agent.clone(),
            refusal: {
                let trial = Trial {
                    program: &program,
                    accelerator,
                    clock: GuestClock::default(),
                    patience: match platform::cpu_virtualizes() {
                        true => PATIENCE,
                        false => LITTLE_PATIENCE,
                    },
                };
                try_out(&qemu, &question, trial).await.err()
            },
            accelerator,
        }),
        _ => None,
    };
    memory.records.retain(|record| record.program.path != program.path);
    memory.records.push(Record {
        program: program.clone(),
        version,
        boot: boot.clone(),
        host_cpu: platform::cpu_model().map_err(ProbeError::Host)?,
        kernel: question.kernel.clone(),
        facts,
        tsc_khz,
        hardware,
    });
    memory.write(question.cache).map_err(ProbeError::Cache)?;
    memory.answer(&question, &program, &boot)?.ok_or(ProbeError::Cache(io::ErrorKind::Other.into()))
}

/// Boots the question's kernel with the agent, to see whether they really work together.
///
/// # Errors
/// [`ProbeError`]; [`ProbeError::Boot`] if the guest does not come up.
pub async fn boots(question: Question<'_>) -> Result<(), ProbeError> {
    let answer = ask(question).await?;
    let trial = Trial {
        program: &answer.program,
        accelerator: answer.accelerator,
        clock: answer.clock,
        patience: LONG_PATIENCE,
    };
    let outcome = try_out(&answer.qemu, &question, trial).await;
    outcome.map_err(|reason| ProbeError::Boot { path: question.kernel.path.clone(), reason })
}

/// Why no machine can be made.
#[derive(Debug, Error)]
pub enum ProbeError {
    #[error("the kernel `{}` cannot be used: {reason}", .path.display())]
    Boot { path: PathBuf, reason: String },
    #[error("cannot remember what this host can do")]
    Cache(#[source] io::Error),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("cannot tell this host, or this boot of it, from others")]
    Host(#[source] io::Error),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("{} cannot be used here: {reason}", .accelerator.name())]
    Unavailable { accelerator: Accelerator, reason: String },
}

/// How to boot a guest that only has to come up.
struct Trial<'a> {
    program: &'a Artifact,
    accelerator: Accelerator,
    clock: GuestClock,
    patience: Duration,
}

/// Boots the question's kernel and agent until the agent opens its port.
async fn try_out(qemu: &Qemu, question: &Question<'_>, trial: Trial<'_>) -> Result<(), String> {
    let Trial { accelerator, clock, patience, .. } = trial;
    available(accelerator)?;
    let shape = Shape {
        arch: question.arch,
        machine: MachineType::of(question.arch),
        kernel: question.kernel.clone(),
        agent: question.agent.clone(),
        vmm: format!("QEMU {}", qemu.version()),
        program: trial.program.clone(),
        accelerator,
        cpu: accelerator.cpu_model(question.arch).to_owned(),
        host_cpu: None,
        vcpus: 1,
        memory_mib: 128,
        devices: DeviceSet::default(),
        clock,
        format: Shape::FORMAT,
    };
    let configuration = Configuration {
        name: format!("hull-probe-{}", accelerator.name()),
        working_dir: PathBuf::from("/"),
        disks: Disks::default(),
    };
    let mut machine = qemu.boot(&shape, configuration).await.map_err(|error| error.to_string())?;
    let console = machine.take_console();
    let channel = machine.take_channel();
    let drain = tokio::spawn(async move {
        let mut console = console;
        if let Some(console) = &mut console {
            let _ = tokio::io::copy(console, &mut tokio::io::sink()).await;
        }
    });
    let outcome = match timeout(patience, port_opened(&mut machine)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(machine.wait().await.to_string()),
        Err(_) => Err(format!("a guest did not come up in {patience:?}")),
    };
    machine.kill();
    let _ = timeout(PATIENCE, machine.wait()).await;
    drain.abort();
    drop(channel);
    outcome
}

/// Returns whether the agent opens its port before the machine ends.
async fn port_opened(machine: &mut QemuMachine) -> bool {
    let monitor = machine.monitor();
    loop {
        match monitor.event().await {
            Ok(event) if event.name == "VSERPORT_CHANGE" && event.data["open"] == true => {
                return true;
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// Returns why `accelerator` cannot even be tried.
fn available(accelerator: Accelerator) -> Result<(), String> {
    if accelerator != Accelerator::Kvm {
        return Ok(());
    }
    let opened = File::options().read(true).write(true).open("/dev/kvm");
    opened.map(drop).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no /dev/kvm".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "/dev/kvm may not be opened (is the user in the group kvm?)".to_owned()
        }
        _ => format!("/dev/kvm: {error}"),
    })
}

async fn version_of(program: &Path) -> Result<Version, FindError> {
    let fail = |source| FindError::Unusable { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(fail)?;
    let mut output = String::new();
    if let Some(pipe) = child.stdout.take() {
        let mut limited = pipe.take(4096);
        let read = timeout(PATIENCE, limited.read_to_string(&mut output)).await;
        read.map_err(|_| fail(io::ErrorKind::TimedOut.into()))?.map_err(fail)?;
    }
    let version = Version::parse(&output)
        .ok_or_else(|| FindError::Unversioned { program: program.to_owned() })?;
    if version < Version::OLDEST {
        return Err(FindError::TooOld { found: version });
    }
    Ok(version)
}

/// What is remembered, one record per QEMU binary.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Memory {
    records: Vec<Record>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Record {
    program: Artifact,
    version: Version,
    boot: String,
    /// Read once per boot: it takes long on hosts with many CPUs.
    host_cpu: String,
    kernel: Artifact,
    facts: KernelFacts,
    /// Differs between boots of a host that was moved.
    tsc_khz: Option<u32>,
    hardware: Option<Hardware>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Hardware {
    accelerator: Accelerator,
    agent: Artifact,
    /// Why no guest runs; `None`: guests run.
    refusal: Option<String>,
}

impl Memory {
    /// Reads what is remembered; what cannot be read is forgotten.
    fn read(path: &Path) -> Self {
        std::fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("new");
        std::fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&temporary, path)
    }

    fn version(&self, program: &Artifact) -> Option<Version> {
        let mut records = self.records.iter();
        Some(records.find(|record| record.program == *program)?.version)
    }

    /// Returns the answer to `question`, `None` if it must be found out.
    fn answer(
        &self,
        question: &Question<'_>,
        program: &Artifact,
        boot: &str,
    ) -> Result<Option<Answer>, ProbeError> {
        let Some(record) = self.records.iter().find(|record| {
            record.program == *program && record.boot == boot && record.kernel == *question.kernel
        }) else {
            return Ok(None);
        };
        let answer = |accelerator, reason| Answer {
            qemu: Qemu::new(program.path.clone(), record.version),
            program: program.clone(),
            accelerator,
            host_cpu: match accelerator {
                Accelerator::Hvf | Accelerator::Kvm => Some(record.host_cpu.clone()),
                Accelerator::Tcg => None,
            },
            reason,
            kernel: record.facts.clone(),
            clock: GuestClock { tsc_khz: record.tsc_khz, kernel_hz: record.facts.hz },
        };
        if let Some(accelerator) = question.choice.explicit() {
            if accelerator != Accelerator::Tcg {
                let possible = Accelerator::of_host(question.arch) == Some(accelerator);
                let reason = if possible {
                    available(accelerator).err()
                } else {
                    Some(format!("this host has none for {} guests", question.arch.name()))
                };
                if let Some(reason) = reason {
                    return Err(ProbeError::Unavailable { accelerator, reason });
                }
            }
            return Ok(Some(answer(accelerator, None)));
        }
        if Accelerator::of_host(question.arch).is_none() {
            return Ok(Some(answer(Accelerator::Tcg, None)));
        }
        let Some(hardware) =
            record.hardware.as_ref().filter(|hardware| hardware.agent == *question.agent)
        else {
            return Ok(None);
        };
        Ok(Some(match &hardware.refusal {
            None => answer(hardware.accelerator, None),
            Some(reason) => answer(Accelerator::Tcg, Some(reason.clone())),
        }))
    }
}

/// Takes the lock beside the cache; it is given up with the file.
async fn lock(cache: PathBuf) -> Result<File, ProbeError> {
    let path = cache.with_extension("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(ProbeError::Cache)?;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => tokio::time::sleep(POLL).await,
            Err(error) => return Err(ProbeError::Cache(error.into())),
        }
    }
}

/// How long a guest may take under a hardware accelerator; it needs a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same on a host whose CPU does not even claim to have one.
const LITTLE_PATIENCE: Duration = Duration::from_millis(1500);
/// For a kernel that somebody else built, under emulation, on a busy host.
const LONG_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
