//! The kernel that guests boot.

use std::path::{Path, PathBuf};

use crate::{Engine, Result, error::Error};

/// A guest kernel.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    pub path: PathBuf,
    /// For example `6.12.38`, if the image says.
    pub version: Option<String>,
    /// Docker's name of its architecture, for example `amd64`.
    pub architecture: String,
    /// Bytes.
    pub size: u64,
    /// True if it is not the one that Hull came with.
    pub replaced: bool,
}

impl Engine {
    /// Describes the kernel that new containers get.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn kernel(&self) -> Result<KernelInfo> {
        Err(Error::not_yet("kernel"))
    }

    /// Makes a copy of `binary` the kernel of new containers; `None` goes back to Hull's own.
    ///
    /// # Errors
    /// The file is no kernel that can work, and why.
    pub async fn set_kernel(&self, binary: Option<&Path>) -> Result<KernelInfo> {
        let _ = binary;
        Err(Error::not_yet("setting a kernel"))
    }
}

impl Engine {
    /// Returns the path of the kernel that new machines boot.
    pub(crate) fn kernel_path(&self) -> std::path::PathBuf {
        let replaced = self.inner.layout.kernel();
        match replaced.exists() {
            true => replaced,
            false => self.inner.settings.lib_dir.join(GUEST_KERNEL),
        }
    }
}

/// Hull's own kernel, in its library directory.
const GUEST_KERNEL: &str = "vmlinux";
