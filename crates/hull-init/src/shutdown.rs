//! The end of the machine.

use std::time::{Duration, Instant};

use hull_protocol::Reply;
use rustix::system::{RebootCommand, reboot};

use crate::agent::Agent;
use crate::console;

impl Agent {
    /// Kills all containers; [`Agent::settle_shutdown`] does the rest once they are gone.
    pub(crate) fn begin_shutdown(&mut self, number: u32) {
        if let Some(shells) = &mut self.shells {
            shells.dismiss();
        }
        for container in self.containers.values_mut() {
            container.cgroup.kill();
            // A frozen process dies only when it is thawed.
            let _ = container.cgroup.freeze(false);
        }
        for child in self.children.values() {
            child.cancel();
        }
        self.shutdown = Some(number);
        self.shutdown_by = Some(Instant::now() + Duration::from_secs(10));
    }

    /// Ends the machine when everything is over, or has taken too long.
    pub(crate) fn settle_shutdown(&mut self) {
        let Some(number) = self.shutdown else {
            return;
        };
        let names: Vec<String> = self.containers.keys().cloned().collect();
        let running = names.iter().any(|name| self.has_processes(name));
        if running && self.shutdown_by.is_some_and(|by| Instant::now() < by) {
            return;
        }
        let mut result = Ok(Reply::Done);
        for (_, mut container) in std::mem::take(&mut self.containers) {
            container.cgroup.remove();
            if let Err(failure) = container.unmount(&mut self.disks) {
                result = Err(failure);
            }
        }
        if let Some(shares) = &mut self.shares {
            shares.let_go();
        }
        if let Err(failure) = self.disks.let_go() {
            result = Err(failure);
        }
        if self.kernel_log.is_waiting() {
            self.send_kernel_log();
        }
        console::show_phases();
        rustix::fs::sync();
        self.respond(number, result);
        self.flush_last();
        end_machine()
    }
}

/// Switches the machine off.
pub(crate) fn end_machine() -> ! {
    rustix::fs::sync();
    // Without ACPI an x86 machine cannot switch itself off: a reset ends it, as the VMM is told
    // not to start it again.
    let can_power_off =
        !cfg!(target_arch = "x86_64") || std::fs::exists("/sys/firmware/acpi").unwrap_or(false);
    if can_power_off && let Err(errno) = reboot(RebootCommand::PowerOff) {
        console::say(&format!("power off: {errno}"));
    }
    let _ = reboot(RebootCommand::Restart);
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
