//! Exchanges what is below a disk while its machine exists.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{DISK_BYTES, Disk, DiskError, DiskFormat, Slot};
use crate::shape::DeviceSet;

use super::blockdev;
use super::command::{AddNode, DeleteNode, ReopenNodes};
use super::qmp::{Monitor, QmpError};

/// The nodes below the disks of a machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Nodes {
    devices: DeviceSet,
    /// Names of the nodes in use, in the order of [`Slot::ALL`].
    current: [String; Slot::ALL.len()],
    /// The newest generation of nodes; none is used twice.
    generation: u32,
}

impl Nodes {
    /// Returns those of a machine that has just been started.
    pub(super) fn new(devices: DeviceSet) -> Self {
        Self { devices, current: Slot::ALL.map(|slot| blockdev::name(slot, 0)), generation: 0 }
    }

    /// Returns what the machine has.
    pub(super) fn devices(&self) -> DeviceSet {
        self.devices
    }

    /// Puts `disk` into `slot`.
    pub(super) async fn exchange(
        &mut self,
        monitor: &mut Monitor,
        slot: Slot,
        disk: &Disk,
    ) -> Result<(), DiskError> {
        let place = Slot::ALL.iter().position(|other| *other == slot);
        let Some(place) = place.filter(|_| self.devices.has(slot)) else {
            return Err(DiskError::NoSuchSlot(slot));
        };
        check_size(disk)?;
        self.generation += 1;
        let node = blockdev::below(slot, disk, self.generation)?;
        let name = blockdev::name(slot, self.generation);
        let attach = |source| DiskError::Attach {
            slot,
            path: disk.path().unwrap_or(Path::new("placeholder")).to_owned(),
            source,
        };
        monitor.execute(&AddNode(node)).await.map_err(attach)?;
        let reopen = ReopenNodes { options: vec![blockdev::top(slot, self.generation)] };
        if let Err(error) = monitor.execute(&reopen).await {
            // The disk's file would stay open; that this fails, too, is not worth a report.
            let _ = delete(monitor, name).await;
            return Err(attach(error));
        }
        let old = std::mem::replace(&mut self.current[place], name);
        delete(monitor, old).await.map_err(|source| DiskError::Detach { slot, source })
    }
}

async fn delete(monitor: &mut Monitor, node_name: String) -> Result<(), QmpError> {
    monitor.execute(&DeleteNode { node_name }).await.map(drop)
}

/// The guest does not learn that a disk has another size. What formats say of theirs is left to
/// the VMM; images and overlays are made with the right one.
fn check_size(disk: &Disk) -> Result<(), DiskError> {
    let Disk::File { path, format } = disk else {
        return Ok(());
    };
    let read = |source: io::Error| DiskError::Read { path: path.clone(), source };
    let metadata = path.metadata().map_err(read)?;
    if *format == DiskFormat::Raw && metadata.is_file() && metadata.len() != DISK_BYTES {
        return Err(DiskError::Size { path: path.clone(), found: metadata.len() });
    }
    Ok(())
}
