//! Accelerators: how a guest's instructions are run.

use serde::{Deserialize, Serialize};

use crate::shape::Arch;

/// What runs a guest's instructions.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// Apple's Hypervisor.framework.
    Hvf,
    /// Linux's KVM.
    Kvm,
    /// QEMU's translator: works everywhere, for every architecture.
    Tcg,
}

impl Accelerator {
    /// Returns the hardware accelerator that this host could have for guests of `arch`.
    pub fn of_host(arch: Arch) -> Option<Self> {
        if Arch::host() != Some(arch) {
            None
        } else if cfg!(target_os = "linux") {
            Some(Self::Kvm)
        } else if cfg!(target_os = "macos") {
            Some(Self::Hvf)
        } else {
            None
        }
    }

    /// Returns the accelerator's name as QEMU has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hvf => "hvf",
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// Returns the CPU model that gives a guest of `arch` the most.
    pub fn cpu_model(self, arch: Arch) -> &'static str {
        match (self, arch) {
            (Self::Hvf | Self::Kvm, _) => "host",
            // Translated string instructions are loops of single bytes: kernel and C library must
            // not be told that they are fast (40 to 60 ms of a boot).
            (Self::Tcg, Arch::X86_64) => "max,-erms,-fsrm,-fzrm,-fsrs,-fsrc",
            (Self::Tcg, Arch::Aarch64) => "max",
        }
    }
}

/// What the user wants.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The fastest that really runs a guest.
    #[default]
    Auto,
    Hvf,
    Kvm,
    Tcg,
}

impl Choice {
    /// Returns the accelerator that is asked for by name.
    pub fn explicit(self) -> Option<Accelerator> {
        match self {
            Self::Auto => None,
            Self::Hvf => Some(Accelerator::Hvf),
            Self::Kvm => Some(Accelerator::Kvm),
            Self::Tcg => Some(Accelerator::Tcg),
        }
    }
}
