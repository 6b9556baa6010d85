//! A machine that stands still after its rehearsal, and the machines that are cloned from it.
//!
//! Whatever the guest has executed in the zygote is translated in its clones: they start as fast as
//! a machine that has run a container before, and share what they do not change.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use hull_template::sparse;
use hull_vmm::qemu::QemuMachine;
use hull_vmm::{CloneError, Disk, DiskError, Exchange, Machine, Original, Slot};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::UnixStream;

use crate::paths;
use crate::socket::{self, Address};
use crate::wire::invalid;

/// What clones need to know of a zygote: `zygote.json` in its directory.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Zygote {
    original: Original,
    pub(super) accelerator: String,
    /// Key of the template that it was forked from.
    pub(super) template: String,
    /// `uname -r` and `uname -m` of the guest.
    pub(super) kernel: Option<String>,
    pub(super) boot_log: String,
}

/// What a zygote says of itself.
pub(super) struct Description {
    pub(super) accelerator: String,
    pub(super) template: String,
    pub(super) kernel: Option<String>,
    pub(super) boot_log: String,
}

/// Has `machine`, which must be paused, be cloned by whoever finds it in `dir`.
pub(super) async fn offer(
    machine: &mut QemuMachine,
    dir: &Path,
    description: Description,
) -> Result<(), ZygoteError> {
    let address = Address::new(dir, paths::FORK_SOCKET).map_err(ZygoteError::Socket)?;
    let listener = socket::listen(&address).map_err(ZygoteError::Socket)?;
    let listener = listener.into_std().map_err(ZygoteError::Socket)?;
    let original = machine.offer(listener.into()).await?;
    let Description { accelerator, template, kernel, boot_log } = description;
    let zygote = Zygote { original, accelerator, template, kernel, boot_log };
    let json = serde_json::to_vec(&zygote).map_err(invalid);
    json.and_then(|json| fs::write(dir.join(paths::ZYGOTE), json)).map_err(ZygoteError::File)
}

impl Zygote {
    /// Finds the zygote in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self, ZygoteError> {
        let bytes = fs::read(dir.join(paths::ZYGOTE));
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(invalid))
            .map_err(ZygoteError::File)
    }

    /// Returns a clone of the zygote in `dir`, called `name`, which stands still. Its guest has mounted the disk in
    /// [`Slot::Scratch`]: `scratch` becomes a copy of the zygote's.
    pub(super) async fn clone_machine(
        &self,
        dir: &Path,
        name: &str,
        scratch: &Path,
    ) -> Result<QemuMachine, ZygoteError> {
        let old = dir.join(paths::ZYGOTE_SCRATCH);
        sparse::copy(&old, scratch).map_err(ZygoteError::Disk)?;
        let exchange = Exchange {
            old: File::open(&old).map_err(ZygoteError::Disk)?.into(),
            new: File::options()
                .read(true)
                .write(true)
                .open(scratch)
                .map_err(ZygoteError::Disk)?
                .into(),
        };
        let address = Address::new(dir, paths::FORK_SOCKET).map_err(ZygoteError::Socket)?;
        let connection = UnixStream::connect(address.path()).await.map_err(ZygoteError::Socket)?;
        Ok(QemuMachine::clone_of(&self.original, &connection, name, vec![exchange]).await?)
    }
}

/// Gives a clone its disks, and lets it go on.
pub(super) async fn furnish(
    machine: &mut QemuMachine,
    image: &Path,
    kept: Option<&Path>,
) -> Result<(), ZygoteError> {
    machine.attach_disk(Slot::Image, &Disk::at(image)).await?;
    if let Some(kept) = kept {
        machine.attach_disk(Slot::Kept, &Disk::at(kept)).await?;
    }
    machine.resume().await.map_err(|source| ZygoteError::Clone(CloneError::Monitor(source)))
}

/// Why a machine was not cloned.
#[derive(Debug, Error)]
pub(super) enum ZygoteError {
    #[error(transparent)]
    Attach(#[from] DiskError),
    #[error(transparent)]
    Clone(#[from] CloneError),
    #[error("cannot copy the zygote's disk")]
    Disk(#[source] io::Error),
    #[error("cannot read or write what clones need to know")]
    File(#[source] io::Error),
    #[error("cannot use the zygote's socket")]
    Socket(#[source] io::Error),
}
