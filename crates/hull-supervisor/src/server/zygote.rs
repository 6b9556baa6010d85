//! Machines that stand still, and the machines that are cloned from them.
//!
//! One stands still after its rehearsal: whatever its guest has executed is translated in its
//! clones, which start as fast as a machine that has run a container before and share what they do
//! not change. Another is a running container's, as it was at one moment.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use hull_protocol::Stdio;
use hull_template::sparse;
use hull_vmm::qemu::QemuMachine;
use hull_vmm::{CloneError, DiskError, Exchange, Machine, Original, Shape, Slot};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::wiring::Wired;
use crate::control::Failure;
use crate::paths;
use crate::wire::invalid;
use hull_socket::Address;

/// What clones need to know: `zygote.json` in the directory of a machine that stands still.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Zygote {
    original: Original,
    pub(super) about: About,
}

/// What a machine that stands still says of itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct About {
    pub(super) shape: Shape,
    /// Key of the template that it was forked from.
    pub(super) template: Option<String>,
    /// `uname -r` and `uname -m` of the guest.
    pub(super) kernel: Option<String>,
    pub(super) boot_log: String,
    /// Slots of its writable disks, which are in its directory, too.
    pub(super) disks: Vec<Slot>,
    /// The container that runs in it.
    pub(super) running: Option<Running>,
    /// Its network interfaces.
    #[serde(default)]
    pub(super) wired: Vec<Wired>,
}

/// A container that is frozen in a machine that stands still.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Running {
    pub(super) container: String,
    /// Where its writable disk is.
    pub(super) writable: Slot,
    /// Its streams as the guest knows them.
    pub(super) stdio: Stdio,
    /// It has volumes or bind mounts; what it has open of them has to be got as well.
    pub(super) shares: bool,
}

/// Has `machine`, which must be paused, be cloned by whoever finds it in `dir`.
pub(super) async fn offer(
    machine: &mut impl Machine,
    dir: &Path,
    about: About,
) -> Result<(), ZygoteError> {
    let address = Address::new(dir, paths::FORK_SOCKET).map_err(ZygoteError::Socket)?;
    let listener = hull_socket::listen(&address).map_err(ZygoteError::Socket)?;
    let listener = listener.into_std().map_err(ZygoteError::Socket)?;
    let original = machine.offer(listener.into()).await?;
    let json = serde_json::to_vec(&Zygote { original, about }).map_err(invalid);
    json.and_then(|json| fs::write(dir.join(paths::ZYGOTE), json)).map_err(ZygoteError::File)
}

/// Returns where the disk in `slot` of a machine that stands still is.
pub(super) fn disk(dir: &Path, slot: Slot) -> PathBuf {
    dir.join(format!("{}.ext4", slot.name()))
}

/// Returns where the disk for rehearsals is in the directory of a machine that waits.
pub(super) fn rehearsal(dir: &Path) -> PathBuf {
    dir.join("rehearsal.erofs")
}

/// Copies `file` to `path`, and returns what a clone of its machine has open instead.
pub(super) fn copy(file: &File, path: &Path) -> io::Result<Exchange> {
    // It may have no name any more.
    sparse::copy(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())), path)?;
    exchange(file, path)
}

/// Returns what a clone of the machine that has `file` open has open instead: its copy at `path`.
pub(super) fn exchange(file: &File, path: &Path) -> io::Result<Exchange> {
    let new = File::options().read(true).write(true).open(path)?;
    Ok(Exchange { old: file.try_clone()?.into(), new: new.into() })
}

impl Zygote {
    /// Finds the machine in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self, ZygoteError> {
        let read = || serde_json::from_slice(&fs::read(dir.join(paths::ZYGOTE))?).map_err(invalid);
        read().map_err(ZygoteError::File)
    }

    /// Returns a clone of the machine in `dir`, called `name`, which stands still, too. Its disks
    /// become copies at the paths that `place` says.
    pub(super) async fn clone_machine(
        &self,
        dir: &Path,
        name: &str,
        place: impl Fn(Slot) -> PathBuf,
    ) -> Result<QemuMachine, ZygoteError> {
        let disks = self.about.disks.iter();
        let exchanges = disks.map(|slot| copy(&File::open(disk(dir, *slot))?, &place(*slot)));
        let exchanges = exchanges.collect::<io::Result<_>>().map_err(ZygoteError::Disk)?;
        let written = File::open(dir.join(paths::WRITTEN)).ok().map(Into::into);
        let address = Address::new(dir, paths::FORK_SOCKET).map_err(ZygoteError::Socket)?;
        let connect = || hull_socket::connect(&address);
        Ok(QemuMachine::clone_of(&self.original, connect, name, exchanges, written).await?)
    }
}

/// Why a machine was not cloned.
#[derive(Debug, Error)]
pub(super) enum ZygoteError {
    #[error(transparent)]
    Attach(#[from] DiskError),
    #[error(transparent)]
    Clone(#[from] CloneError),
    #[error("cannot copy the machine's disk")]
    Disk(#[source] io::Error),
    #[error("cannot read or write what clones need to know")]
    File(#[source] io::Error),
    #[error("cannot go on with the container's volumes and bind mounts: {}", .0.message)]
    Shares(Failure),
    #[error("cannot use the socket of the machine that is cloned")]
    Socket(#[source] io::Error),
}
