//! Starts a machine from all that was saved of another.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use crate::machine::Configuration;
use crate::platform::MemoryUse;
use crate::shape::Shape;
use crate::snapshot::{ForkError, Saved};

use super::Qemu;
use super::clone;
use super::command::{MigrateIncoming, QueryStatus};
use super::command_line::Origin;
use super::nic::Ports;
use super::preload::Preload;
use super::process::{QemuMachine, Start};
use super::qmp::{Early, QmpError};

impl QemuMachine {
    /// Starts a machine that was saved.
    pub(super) async fn restore(
        qemu: &Qemu,
        shape: &Shape,
        configuration: &Configuration,
        saved: Saved,
    ) -> Result<Self, ForkError> {
        let Saved { state, nics } = saved;
        let (places, taps): (Vec<_>, Vec<_>) = nics.into_iter().unzip();
        let numbers = taps.iter().map(OwnedFd::as_raw_fd);
        let nics: Vec<_> = places.into_iter().zip(numbers).collect();
        let ports = Ports::with(shape.devices, &nics).map_err(ForkError::NoPort)?;
        let preload = Preload::new(qemu)?;
        let early = Early::new()
            .and(&MigrateIncoming { uri: format!("fd:{}", state.as_raw_fd()) })
            .map_err(ForkError::Monitor)?;
        let environment = preload.environment().to_vec();
        let (inherited, control, path) = preload.into_parts();
        let start = Start {
            origin: Origin::Restore { nics },
            environment,
            inherited: inherited.into_iter().chain([state]).chain(taps).collect(),
            early: Some(early),
            memory_use: MemoryUse::Frugal,
        };
        let mut machine = Self::spawn(qemu, shape, configuration, start)?;
        match machine.loaded().await {
            Ok(()) => {}
            Err(QmpError::Closed) => {
                return Err(ForkError::Ended(crate::Machine::wait(&mut machine).await));
            }
            Err(error) => return Err(ForkError::Monitor(error)),
        }
        // Without the library nothing forbids it to execute programs.
        if !clone::is_loaded(&control).await {
            return Err(ForkError::NotRemapped(path));
        }
        machine.ports = ports;
        machine.control = Some(control);
        machine.is_savable = true;
        Ok(machine)
    }

    /// Waits until it has loaded its state.
    async fn loaded(&mut self) -> Result<(), QmpError> {
        loop {
            let status = self.monitor.execute(&QueryStatus {}).await?;
            if status.status != "inmigrate" {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

const POLL: Duration = Duration::from_millis(3);
