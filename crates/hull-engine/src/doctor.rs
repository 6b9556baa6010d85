//! Checks of the host: what is missing and how to get it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hull_vmm::accel::{Accelerator, Choice};
use hull_vmm::qemu::{self, FindError, Version, probe};
use hull_vmm::{Artifact, kernel_check};
use tokio::process::Command;

use crate::error::one_line;
use crate::kernel::guest_arch;
use crate::{Engine, Result};

/// Outcome of one check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// What was looked at, for example `QEMU`.
    pub name: &'static str,
    pub outcome: Outcome,
    /// What was found, for example `qemu-system-x86_64 10.0.2`.
    pub found: String,
    /// How to repair or improve it.
    pub hint: Option<String>,
}

/// How good what a check found is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    Good,
    /// Containers run, but something is slower or less than it could be.
    Warning,
    /// Containers cannot run.
    Bad,
}

impl Check {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Good, found: found.into(), hint: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warning, found: found.into(), hint: Some(hint.into()) }
    }

    fn bad(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Bad, found: found.into(), hint: Some(hint.into()) }
    }
}

impl Engine {
    /// Checks whether this host can run containers. Takes seconds if the host's accelerator has
    /// not been tried out yet.
    pub async fn doctor(&self) -> Vec<Check> {
        vec![
            check_qemu().await,
            self.check_kernel(),
            self.check_agent(),
            self.check_supervisor(),
            self.check_accelerator().await,
            self.check_root(),
            self.check_space(),
            check_descriptors(),
        ]
    }

    fn check_kernel(&self) -> Check {
        let name = "guest kernel";
        let path = self.kernel_path();
        let hint = "build it with `make kernel`, or set another with \
                    `hull system kernel set --binary PATH`";
        let arch = match guest_arch() {
            Ok(arch) => arch,
            Err(error) => {
                return Check::bad(name, error.to_string(), "use an x86_64 or arm64 host");
            }
        };
        match kernel_check::check(&path, arch) {
            Ok(facts) => {
                let release = facts.release.unwrap_or_else(|| "of unknown release".into());
                let found = format!("{release} ({})", path.display());
                match facts.warnings.is_empty() {
                    true => Check::good(name, found),
                    false => Check::warning(name, found, facts.warnings.join("; ")),
                }
            }
            Err(error) => Check::bad(name, one_line(&error), hint),
        }
    }

    fn check_agent(&self) -> Check {
        let name = "guest agent";
        let path = self.agent_path();
        match fs::read(&path) {
            Ok(bytes) if bytes.starts_with(b"\x7fELF") => {
                Check::good(name, format!("{} ({} KiB)", path.display(), bytes.len() >> 10))
            }
            Ok(_) => Check::bad(
                name,
                format!("{} is no program", path.display()),
                "build it with `make`, or install Hull again",
            ),
            Err(error) => Check::bad(
                name,
                format!("{}: {error}", path.display()),
                "build it with `make`, or install Hull again",
            ),
        }
    }

    fn check_supervisor(&self) -> Check {
        use std::os::unix::fs::PermissionsExt as _;
        let name = "supervisor";
        let path = &self.inner.settings.supervisor;
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => {
                Check::good(name, path.display().to_string())
            }
            Ok(_) => Check::bad(
                name,
                format!("{} cannot be executed", path.display()),
                "install Hull again, then `hull system stop` and `hull system start`",
            ),
            Err(error) => Check::bad(
                name,
                format!("{}: {error}", path.display()),
                "Hull was moved or replaced: `hull system stop` and `hull system start`",
            ),
        }
    }

    async fn check_accelerator(&self) -> Check {
        let name = "accelerator";
        let answer = match self.ask_probe().await {
            Ok(answer) => answer,
            Err(error) => {
                return Check::bad(name, error, "repair what is wrong above, then try again");
            }
        };
        let found = answer.accelerator.name();
        if answer.accelerator != Accelerator::Tcg {
            return Check::good(name, found);
        }
        let reason = answer.reason.unwrap_or_else(|| "there is none for these guests".into());
        Check::warning(
            name,
            format!("{found}: no hardware virtualization is used ({reason})"),
            kvm_hint(),
        )
    }

    pub(crate) async fn ask_probe(&self) -> Result<probe::Answer, String> {
        let artifact = |path: PathBuf| {
            let found = Artifact::at(&path);
            found.map_err(|error| format!("cannot be tried out: {}: {error}", path.display()))
        };
        let (kernel, agent) = (artifact(self.kernel_path())?, artifact(self.agent_path())?);
        let cache = self.inner.layout.probe_cache();
        let question = probe::Question {
            cache: &cache,
            arch: guest_arch().map_err(|error| error.to_string())?,
            program: None,
            choice: Choice::Auto,
            kernel: &kernel,
            agent: &agent,
        };
        let answer = tokio::time::timeout(PROBE_TIMEOUT, probe::ask(question)).await;
        answer
            .map_err(|_| format!("no answer within {} s", PROBE_TIMEOUT.as_secs()))?
            .map_err(|error| one_line(&error))
    }

    fn check_root(&self) -> Check {
        let name = "state directory";
        let root = self.inner.layout.root();
        let probe = self.inner.layout.tmp().join("doctor");
        match fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)) {
            Ok(()) => Check::good(name, root.display().to_string()),
            Err(error) => Check::bad(
                name,
                format!("{} cannot be written: {error}", root.display()),
                "make it writable, or choose another with HULL_HOME",
            ),
        }
    }

    fn check_space(&self) -> Check {
        let name = "disk space";
        let root = self.inner.layout.root();
        let available = match rustix::fs::statvfs(root) {
            Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
            Err(error) => {
                let found = format!("{}: {}", root.display(), io::Error::from(error));
                return Check::warning(name, found, "look at the file system");
            }
        };
        let found = format!("{} MiB available in {}", available >> 20, root.display());
        let hint = "remove images and containers that you do not need, or choose another disk \
                    with HULL_HOME";
        match available {
            ..TOO_LITTLE => Check::bad(name, found, hint),
            TOO_LITTLE..LITTLE => Check::warning(name, found, hint),
            _ => Check::good(name, found),
        }
    }

    pub(crate) fn agent_path(&self) -> PathBuf {
        self.inner.settings.lib_dir.join("hull-init")
    }
}

async fn check_qemu() -> Check {
    let name = "QEMU";
    match qemu_version().await {
        Ok((path, version)) if version >= RECOMMENDED => {
            Check::good(name, format!("{version} ({})", path.display()))
        }
        Ok((path, version)) => Check::warning(
            name,
            format!("{version} ({})", path.display()),
            format!(
                "QEMU {RECOMMENDED} or later gives memory back to the host safely; on Debian 12 \
                 it is in bookworm-backports"
            ),
        ),
        Err(error) => Check::bad(name, one_line(&error), error.hint()),
    }
}

/// Finds QEMU and asks for its version.
pub(crate) async fn qemu_version() -> Result<(PathBuf, Version), FindError> {
    let missing = || FindError::Missing { name: format!("qemu-system-{}", std::env::consts::ARCH) };
    let program = qemu::find(guest_arch().map_err(|_| missing())?)?;
    let output = Command::new(&program)
        .arg("--version")
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| FindError::Unusable { program: program.clone(), source })?;
    match Version::parse(&String::from_utf8_lossy(&output.stdout)) {
        Some(version) if version < Version::OLDEST => Err(FindError::TooOld { found: version }),
        Some(version) => Ok((program, version)),
        None => Err(FindError::Unversioned { program }),
    }
}

/// What to do for hardware virtualization.
fn kvm_hint() -> String {
    if !cfg!(target_os = "linux") {
        return "this host offers none".into();
    }
    match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => "this host has /dev/kvm, but no ordinary kernel runs on it: containers work, \
                  slower"
            .into(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "switch virtualization on in the firmware, or choose a host that has it: containers \
             work without, slower"
                .into()
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "you may not use /dev/kvm: add yourself to its group (`usermod -aG kvm USER`)".into()
        }
        Err(error) => format!("/dev/kvm cannot be opened: {error}"),
    }
}

fn check_descriptors() -> Check {
    let name = "file descriptors";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    match limit {
        Some(limit) if limit < DESCRIPTORS => Check::warning(
            name,
            format!("at most {limit} in one process"),
            "raise the limit (`ulimit -Hn`) to run many containers at once",
        ),
        Some(limit) => Check::good(name, format!("up to {limit} in one process")),
        None => Check::good(name, "no limit"),
    }
}

/// Since then read-only mappings of a template's memory are safe from discards.
const RECOMMENDED: Version = Version { major: 8, minor: 2, micro: 0 };
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);
const TOO_LITTLE: u64 = 256 << 20;
const LITTLE: u64 = 2 << 30;
const DESCRIPTORS: u64 = 4096;
