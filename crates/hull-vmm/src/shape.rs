//! What a virtual machine is, apart from what one boot of it is given.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::accel::Accelerator;
use crate::disk::Slot;

/// Everything that two machines must have in common to be forked from one template.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Shape {
    pub arch: Arch,
    pub machine: MachineType,
    pub kernel: Artifact,
    /// The program that the initial file system runs as `/init`.
    pub agent: Artifact,
    /// Name and version of the VMM, for example `QEMU 10.0.2`.
    pub vmm: String,
    /// The VMM's binary.
    pub program: Artifact,
    pub accelerator: Accelerator,
    /// CPU model in the VMM's words.
    pub cpu: String,
    /// The host's CPU, where the guest is shown it; `None` where all is emulated.
    pub host_cpu: Option<String>,
    pub vcpus: u32,
    pub memory_mib: u32,
    pub devices: DeviceSet,
    pub clock: GuestClock,
    /// [`Shape::FORMAT`] of the Hull that the shape is of.
    pub format: u32,
}

impl Shape {
    /// Changes with whatever else a machine depends on: how Hull calls the VMM.
    pub const FORMAT: u32 = 4;

    /// Returns the size of the guest's memory.
    pub fn memory_bytes(&self) -> u64 {
        u64::from(self.memory_mib) << 20
    }
}

/// What a guest would otherwise measure at every boot.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct GuestClock {
    /// Frequency of the time stamp counter that the guest will see, kHz.
    pub tsc_khz: Option<u32>,
    /// `CONFIG_HZ` of its kernel.
    pub kernel_hz: Option<u32>,
}

/// Instruction set of a guest.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    #[serde(alias = "arm64")]
    Aarch64,
    #[serde(rename = "x86_64", alias = "amd64")]
    X86_64,
}

impl Arch {
    /// Returns the architecture of this program's host; `None` if Hull has no guest for it.
    pub fn host() -> Option<Self> {
        Self::parse(std::env::consts::ARCH)
    }

    /// Returns the architecture that Rust (`x86_64`) or Docker (`amd64`) calls `name`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "aarch64" | "arm64" => Some(Self::Aarch64),
            "x86_64" | "amd64" => Some(Self::X86_64),
            _ => None,
        }
    }

    /// Returns the architecture's name as `uname -m` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "x86_64",
        }
    }
}

/// Board of a machine.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineType {
    /// x86_64 with PCI Express.
    Q35,
    /// arm64.
    Virt,
}

impl MachineType {
    /// Returns the board that Hull uses for `arch`.
    pub fn of(arch: Arch) -> Self {
        match arch {
            Arch::Aarch64 => Self::Virt,
            Arch::X86_64 => Self::Q35,
        }
    }
}

/// Devices of a machine beside the channel and the console, which all have.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct DeviceSet {
    /// Read-only disk with serial number `image`.
    pub image: bool,
    /// Writable disk with serial number `scratch`.
    pub scratch: bool,
    /// Writable disk with serial number `kept`.
    pub kept: bool,
    /// Free page reporting and, later, memory on demand.
    pub balloon: bool,
    /// Empty PCIe root ports for devices that are plugged later.
    pub spare_ports: u8,
}

impl DeviceSet {
    /// Returns whether machines have a disk in `slot`.
    pub fn has(&self, slot: Slot) -> bool {
        match slot {
            Slot::Image => self.image,
            Slot::Kept => self.kept,
            Slot::Scratch => self.scratch,
        }
    }
}

/// A file that a machine boots, and what tells one content of it from another.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Artifact {
    pub path: PathBuf,
    pub stamp: Stamp,
}

impl Artifact {
    /// Returns the file at `path` as it is now.
    ///
    /// # Errors
    /// If there is none.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), stamp: Stamp::of(&std::fs::metadata(path)?) })
    }
}

/// Identity of a file's content without reading it: changes whenever the content changes, as long
/// as the host's clock runs forward. Reading and hashing a kernel would cost more than the VMM's
/// start.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed_s: i64,
    changed_ns: i64,
}

impl Stamp {
    /// Returns the identity of the file that `metadata` describes.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_have_two_names() {
        for (name, arch) in [
            ("amd64", Arch::X86_64),
            ("x86_64", Arch::X86_64),
            ("arm64", Arch::Aarch64),
            ("aarch64", Arch::Aarch64),
        ] {
            assert_eq!(Arch::parse(name), Some(arch));
            let json = format!("\"{name}\"");
            assert_eq!(serde_json::from_str::<Arch>(&json).unwrap(), arch);
        }
        assert_eq!(Arch::parse("riscv64"), None);
    }

    #[test]
    fn stamps_change_with_the_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kernel");
        std::fs::write(&path, "one").unwrap();
        let one = Artifact::at(&path).unwrap();
        assert_eq!(Artifact::at(&path).unwrap(), one);
        std::fs::write(dir.path().join("new"), "two").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert_ne!(Artifact::at(&path).unwrap(), one);
    }
}
