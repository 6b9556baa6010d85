//! Plugs network interfaces into a machine that runs.

use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::fd::AsFd as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::clone::CloneError;
use crate::nic::{Nic, NicError, NicPlace};
use crate::platform;
use crate::shape::DeviceSet;

use super::clone;
use super::command::{AddDevice, AddNetdev, DeleteDevice, DeleteNetdev, NameDescriptor};
use super::qmp::Monitor;

/// The spare ports of a machine, and what is in them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Ports(Vec<Option<Plugged>>);

/// A network interface in a port.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Plugged {
    /// As the machine's owner calls it.
    id: String,
    /// As the VMM has called it since it was plugged.
    device: String,
    /// Its tap in the VMM's process; `None`: nobody knows, and it cannot get another.
    tap: Option<RawFd>,
}

impl Ports {
    /// Returns those of a machine that has just been started.
    pub(super) fn new(devices: DeviceSet) -> Self {
        Self(vec![None; usize::from(devices.spare_ports)])
    }

    /// Returns those of a machine that had the interfaces `nics` when it was started, each with the
    /// number of its tap.
    pub(super) fn with(devices: DeviceSet, nics: &[(NicPlace, RawFd)]) -> Result<Self, u8> {
        let mut ports = Self::new(devices);
        for (NicPlace { port, id }, tap) in nics {
            let free = ports.0.get_mut(usize::from(*port)).filter(|port| port.is_none());
            let (id, device) = (id.clone(), id.clone());
            *free.ok_or(*port)? = Some(Plugged { id, device, tap: Some(*tap) });
        }
        Ok(ports)
    }

    /// Returns what is where.
    pub(super) fn places(&self) -> Vec<NicPlace> {
        let ports = (0..).zip(&self.0);
        let place = |(port, plugged): (u8, &Option<Plugged>)| {
            plugged.as_ref().map(|plugged| NicPlace { port, id: plugged.id.clone() })
        };
        ports.filter_map(place).collect()
    }

    /// Plugs `nic`, whose frames go to and come from `tap`, into the machine of the process `pid`.
    pub(super) async fn plug(
        &mut self,
        monitor: &mut Monitor,
        pid: Option<u32>,
        nic: &Nic,
        tap: &OwnedFd,
    ) -> Result<(), NicError> {
        let room = u8::try_from(self.0.len()).unwrap_or(u8::MAX);
        let free = self.0.iter().position(Option::is_none).ok_or(NicError::Full(room))?;
        // What its owner calls it need not be a name for QEMU.
        let id = format!("nic{free}");
        let netdev = netdev(&id);
        let fdname = netdev.clone();
        monitor
            .execute_with(&NameDescriptor { fdname }, tap.as_fd())
            .await
            .map_err(NicError::Plug)?;
        let added = AddNetdev(backend(&id, &netdev));
        monitor.execute(&added).await.map_err(NicError::Plug)?;
        let mut device = device(&id, free);
        device["mac"] = nic.mac.clone().into();
        let device = AddDevice(device);
        if let Err(error) = monitor.execute(&device).await {
            // The tap would stay open; that this fails, too, is not worth a report.
            let _ = monitor.execute(&DeleteNetdev { id: netdev }).await;
            return Err(NicError::Plug(error));
        }
        let plugged = Plugged { id: nic.id.clone(), device: id, tap: None };
        self.0[free] = Some(Plugged { tap: pid.and_then(|pid| self.new_tap(pid)), ..plugged });
        Ok(())
    }

    /// Returns the one tap of the process that is not known yet.
    fn new_tap(&self, pid: u32) -> Option<RawFd> {
        let known: Vec<_> = self.plugged().map(|plugged| plugged.tap).collect();
        let taps = platform::taps(pid).ok()?;
        let mut new = taps.into_iter().filter(|tap| !known.contains(&Some(*tap)));
        new.next().filter(|_| new.next().is_none())
    }

    fn plugged(&self) -> impl Iterator<Item = &Plugged> {
        self.0.iter().flatten()
    }

    /// Whether the interface `id` can get another tap.
    pub(super) fn can_rewire(&self, id: &str) -> bool {
        self.plugged().any(|plugged| plugged.id == id && plugged.tap.is_some())
    }

    /// Gives the interface `from` another tap, and the name `to`, with the help of the process at the
    /// other end of `control`.
    pub(super) async fn rewire(
        &mut self,
        control: &UnixStream,
        from: &str,
        to: &str,
        tap: OwnedFd,
    ) -> Result<(), NicError> {
        let mut plugged = self.0.iter_mut().flatten();
        let plugged = plugged.find(|plugged| plugged.id == from);
        let plugged = plugged.ok_or_else(|| NicError::Missing(from.to_owned()))?;
        let number = plugged.tap.ok_or(NicError::Fixed)?;
        platform::prepare_tap(&tap).map_err(NicError::Tap)?;
        clone::exchange(control, number, tap).await.map_err(NicError::Exchange)?;
        to.clone_into(&mut plugged.id);
        Ok(())
    }

    /// Returns what the interfaces of a copy that stands still get for taps: descriptors on which
    /// nothing ever comes. The frames of the original's are not for it.
    pub(super) fn dead_taps(&self) -> Result<Vec<(RawFd, OwnedFd)>, CloneError> {
        let dead = |plugged: &Plugged| {
            let number = plugged.tap.ok_or(CloneError::Unsuited)?;
            let socket = UnixDatagram::unbound().map_err(CloneError::Channel)?;
            Ok((number, socket.into()))
        };
        self.plugged().map(dead).collect()
    }

    /// Unplugs the interface `id`, and returns when the guest has let go of it.
    pub(super) async fn unplug(&mut self, monitor: &mut Monitor, id: &str) -> Result<(), NicError> {
        let is_it = |used: &Option<Plugged>| used.as_ref().is_some_and(|used| used.id == id);
        let port = self.0.iter_mut().find(|port| is_it(port));
        let port = port.ok_or_else(|| NicError::Missing(id.to_owned()))?;
        let Some(device) = port.as_ref().map(|plugged| plugged.device.clone()) else {
            return Ok(());
        };
        let delete = DeleteDevice { id: device.clone() };
        monitor.execute(&delete).await.map_err(NicError::Unplug)?;
        timeout(PATIENCE, monitor.wait_for("DEVICE_DELETED", |data| data["device"] == *device))
            .await
            .map_err(|_| NicError::Stuck)?
            .map_err(NicError::Unplug)?;
        *port = None;
        let netdev = DeleteNetdev { id: netdev(&device) };
        monitor.execute(&netdev).await.map(drop).map_err(NicError::Unplug)
    }
}

/// Returns what carries the frames of the interface `id`: the tap that QEMU knows as `fd`.
pub(super) fn backend(id: &str, fd: &str) -> Value {
    json!({"type": "tap", "id": netdev(id), "fd": fd})
}

/// Returns the interface `id` in the spare port `port`.
pub(super) fn device(id: &str, port: usize) -> Value {
    json!({
        "driver": "virtio-net-pci",
        "id": id,
        "netdev": netdev(id),
        "bus": format!("port{port}"),
        "disable-legacy": "on",
        // Nothing boots from it.
        "romfile": "",
        // Else the guest of a machine that was saved is asked to tell its neighbours that it has
        // moved. Linux does that under the lock that closing the interface holds while it waits for
        // the work to end (virtnet_close(), 6.11 and later).
        "guest_announce": false,
    })
}

fn netdev(id: &str) -> String {
    format!("{id}net")
}

/// How long a guest has to let go of a device.
const PATIENCE: Duration = Duration::from_secs(10);
