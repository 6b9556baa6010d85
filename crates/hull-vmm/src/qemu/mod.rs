//! QEMU.

mod attach;
mod blockdev;
mod clone;
pub mod command;
mod command_line;
mod fork;
mod mirror;
mod nic;
mod preload;
pub mod probe;
mod process;
pub mod qmp;
mod restore;
mod save;
mod version;
mod vmm_process;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::machine::{BootError, Configuration, Vmm};
use crate::shape::{Arch, Shape};
use crate::snapshot::{ForkError, Saved, Snapshot};

pub use clone::Original;
pub use process::QemuMachine;
pub use version::Version;

/// A QEMU on this host.
#[derive(Clone, Debug)]
pub struct Qemu {
    program: PathBuf,
    version: Version,
    firmware: Option<PathBuf>,
    /// Preloaded into machines that are forked.
    library: Option<PathBuf>,
}

impl Qemu {
    /// Returns the QEMU at `program`, whose version is known.
    pub fn new(program: PathBuf, version: Version) -> Self {
        let firmware = firmware(&program);
        Self { program, version, firmware, library: None }
    }

    /// Returns the same, able to fork machines with the library `path`, which `hull-remap` is
    /// built as. Whether it is there is seen when a machine is forked.
    pub fn with_library(self, path: PathBuf) -> Self {
        Self { library: Some(path), ..self }
    }

    /// Returns the binary.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the binary's version.
    pub fn version(&self) -> Version {
        self.version
    }
}

impl Vmm for Qemu {
    type Machine = QemuMachine;

    async fn boot(
        &self,
        shape: &Shape,
        configuration: Configuration,
    ) -> Result<QemuMachine, BootError> {
        QemuMachine::boot(self, shape, &configuration)
    }

    async fn boot_template(
        &self,
        shape: &Shape,
        configuration: Configuration,
        memory: &Path,
    ) -> Result<QemuMachine, BootError> {
        QemuMachine::boot_template(self, shape, &configuration, memory)
    }

    async fn fork(
        &self,
        shape: &Shape,
        configuration: Configuration,
        snapshot: Snapshot,
    ) -> Result<QemuMachine, ForkError> {
        QemuMachine::fork(self, shape, &configuration, snapshot)
    }

    async fn restore(
        &self,
        shape: &Shape,
        configuration: Configuration,
        saved: Saved,
    ) -> Result<QemuMachine, ForkError> {
        QemuMachine::restore(self, shape, &configuration, saved).await
    }
}

/// Finds the QEMU for guests of `arch` where distributions and Homebrew put it.
///
/// # Errors
/// [`FindError::Missing`].
pub fn find(arch: Arch) -> Result<PathBuf, FindError> {
    let name = program_name(arch);
    DIRECTORIES
        .iter()
        .map(|directory| Path::new(directory).join(&name))
        .find(|path| path.is_file())
        .ok_or(FindError::Missing { name })
}

/// Returns the name of the QEMU for guests of `arch`.
pub fn program_name(arch: Arch) -> String {
    format!("qemu-system-{}", arch.name())
}

/// Why there is no QEMU to use.
#[derive(Debug, Error)]
pub enum FindError {
    #[error("`{name}` is not installed")]
    Missing { name: String },
    #[error("QEMU {found} is too old; {} or later is needed", Version::OLDEST)]
    TooOld { found: Version },
    #[error("`{} --version` cannot be run", .program.display())]
    Unusable {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{} --version` prints no version", .program.display())]
    Unversioned { program: PathBuf },
}

impl FindError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> &'static str {
        if cfg!(target_os = "macos") {
            "install QEMU, for example with `brew install qemu`"
        } else {
            "install QEMU: `apt install qemu-system-x86 qemu-system-data` on Debian and Ubuntu"
        }
    }
}

/// Finds qboot, which enters a PVH kernel with less ado than SeaBIOS.
fn firmware(program: &Path) -> Option<PathBuf> {
    let beside = program.parent()?.parent()?.join("share/qemu/qboot.rom");
    [beside, PathBuf::from("/usr/share/qemu/qboot.rom")].into_iter().find(|path| path.is_file())
}

const DIRECTORIES: &[&str] =
    &["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/run/current-system/sw/bin"];
