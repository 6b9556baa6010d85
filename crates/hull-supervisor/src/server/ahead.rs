//! Disks that are copied before their machine stands still: it stands still for as long as its last
//! writes take, however much is on them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use hull_template::sparse;
use hull_vmm::disk::DISK_BYTES;
use hull_vmm::{DiskError, Exchange, Machine, Slot};
use thiserror::Error;

use super::cloned::OpenDisk;
use super::context::chain;
use super::offspring::Source;
use super::zygote;

/// Disks whose copies the machine is making.
#[derive(Debug, Default)]
pub(super) struct Ahead(Vec<Slot>);

impl Ahead {
    /// Copies the large disks of the machine, which runs, to `dir`. What cannot be copied now is
    /// copied later.
    pub(super) async fn begin<M: Machine>(source: &mut Source<'_, M>, dir: &Path) -> Self {
        let mut ahead = Self::default();
        for disk in source.disks.iter().filter(|disk| is_large(disk)) {
            let path = zygote::disk(dir, disk.slot);
            match copy(source.machine, disk, &path).await {
                Ok(true) => ahead.0.push(disk.slot),
                copied => {
                    if let Err(error) = copied {
                        tracing::debug!(error = chain(&error), "a disk is copied later");
                    }
                    // Else it would be in the way then.
                    let _ = fs::remove_file(&path);
                }
            }
        }
        ahead
    }

    /// Completes the copy of a disk in `dir`, or makes it, while the machine stands still; returns
    /// what a clone has open instead of the disk.
    pub(super) async fn finish(
        &mut self,
        machine: &mut impl Machine,
        disk: &OpenDisk,
        dir: &Path,
    ) -> io::Result<Exchange> {
        let path = zygote::disk(dir, disk.slot);
        let Some(place) = self.0.iter().position(|slot| *slot == disk.slot) else {
            return zygote::copy(&disk.file, &path);
        };
        self.0.swap_remove(place);
        match machine.finish_copy(disk.slot).await {
            Ok(()) => zygote::exchange(&disk.file, &path),
            Err(error) => {
                tracing::debug!(error = chain(&error), "a disk is copied again");
                fs::remove_file(&path)?;
                zygote::copy(&disk.file, &path)
            }
        }
    }

    /// Ends the copies that have not been completed.
    pub(super) async fn abandon(self, machine: &mut impl Machine) {
        for slot in self.0 {
            machine.abandon_copy(slot).await;
        }
    }
}

/// Whether copying the disk takes long.
fn is_large(disk: &OpenDisk) -> bool {
    // st_blocks counts 512 bytes.
    disk.file.metadata().is_ok_and(|metadata| metadata.blocks() * 512 >= LARGE)
}

/// Makes `path` a copy of the disk that can be completed; `false`: there is no need, for a copy costs
/// nothing here.
async fn copy(machine: &mut impl Machine, disk: &OpenDisk, path: &Path) -> Result<bool, CopyError> {
    let target = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    if shares_blocks(&disk.file, &target) {
        return Ok(false);
    }
    target.set_len(DISK_BYTES)?;
    machine.begin_copy(disk.slot, path).await?;
    let source = disk.file.try_clone()?;
    let copying = tokio::task::spawn_blocking(move || sparse::copy_into(&source, &target));
    let copied = match copying.await {
        Ok(Ok(())) => machine.catch_up_copy(disk.slot).await.map_err(CopyError::from),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => Err(io::Error::from(error).into()),
    };
    if copied.is_err() {
        machine.abandon_copy(disk.slot).await;
    }
    copied.map(|()| true)
}

/// Why a disk is not copied ahead.
#[derive(Debug, Error)]
enum CopyError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Whether the file system lets `copy` have the blocks of `file`, which it does then.
#[cfg(target_os = "linux")]
fn shares_blocks(file: &File, copy: &File) -> bool {
    rustix::fs::ioctl_ficlone(copy, file).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn shares_blocks(_file: &File, _copy: &File) -> bool {
    false
}

/// Bytes that are copied while the machine stands still: some 50 ms of copying.
const LARGE: u64 = 64 << 20;
