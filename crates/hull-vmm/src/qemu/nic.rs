//! Plugs network interfaces into a machine that runs.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fd::AsFd as _;
use serde_json::json;
use tokio::time::timeout;

use crate::nic::{Nic, NicError};
use crate::shape::DeviceSet;

use super::command::{AddDevice, AddNetdev, DeleteDevice, DeleteNetdev, NameDescriptor};
use super::qmp::Monitor;

/// The spare ports of a machine, and what is in them.
#[derive(Debug)]
pub(super) struct Ports(Vec<Option<String>>);

impl Ports {
    /// Returns those of a machine that has just been started.
    pub(super) fn new(devices: DeviceSet) -> Self {
        Self(vec![None; usize::from(devices.spare_ports)])
    }

    /// Plugs `nic`, whose frames go to and come from `tap`.
    pub(super) async fn plug(
        &mut self,
        monitor: &mut Monitor,
        nic: &Nic,
        tap: &OwnedFd,
    ) -> Result<(), NicError> {
        let room = u8::try_from(self.0.len()).unwrap_or(u8::MAX);
        let free = self.0.iter().position(Option::is_none).ok_or(NicError::Full(room))?;
        let netdev = netdev(&nic.id);
        let fdname = netdev.clone();
        monitor
            .execute_with(&NameDescriptor { fdname }, tap.as_fd())
            .await
            .map_err(NicError::Plug)?;
        let added = AddNetdev(json!({"type": "tap", "id": netdev, "fd": netdev}));
        monitor.execute(&added).await.map_err(NicError::Plug)?;
        let device = AddDevice(json!({
            "driver": "virtio-net-pci",
            "id": nic.id,
            "netdev": netdev,
            "mac": nic.mac,
            "bus": format!("port{free}"),
            "disable-legacy": "on",
            // Nothing boots from it.
            "romfile": "",
        }));
        if let Err(error) = monitor.execute(&device).await {
            // The tap would stay open; that this fails, too, is not worth a report.
            let _ = monitor.execute(&DeleteNetdev { id: netdev }).await;
            return Err(NicError::Plug(error));
        }
        self.0[free] = Some(nic.id.clone());
        Ok(())
    }

    /// Unplugs the interface `id`, and returns when the guest has let go of it.
    pub(super) async fn unplug(&mut self, monitor: &mut Monitor, id: &str) -> Result<(), NicError> {
        let port = self.0.iter().position(|used| used.as_deref() == Some(id));
        let port = port.ok_or_else(|| NicError::Missing(id.to_owned()))?;
        monitor.execute(&DeleteDevice { id: id.to_owned() }).await.map_err(NicError::Unplug)?;
        timeout(PATIENCE, monitor.wait_for("DEVICE_DELETED", |data| data["device"] == id))
            .await
            .map_err(|_| NicError::Stuck)?
            .map_err(NicError::Unplug)?;
        self.0[port] = None;
        let netdev = DeleteNetdev { id: netdev(id) };
        monitor.execute(&netdev).await.map(drop).map_err(NicError::Unplug)
    }
}

fn netdev(id: &str) -> String {
    format!("{id}net")
}

/// How long a guest has to let go of a device.
const PATIENCE: Duration = Duration::from_secs(10);
