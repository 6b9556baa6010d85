//! What a template does ahead of its forks.

use std::time::Duration;

use hull_protocol::{Prepare, Reply};
use hull_spec::Spec;
use rustix::mount::{MountFlags, UnmountFlags, unmount};

use crate::agent::Agent;
use crate::console::{phase, uptime_us};
use crate::container::rootfs::{Layer, mount_overlay};
use crate::container::{Pattern, Shells};
use crate::disks::Disks;
use crate::failure::{Context, Failure, Result};
use crate::setup::{STATE_DIR, make_dir};
use crate::share::Shares;

impl Agent {
    /// Makes everything ready that does not depend on a particular container.
    pub(crate) fn prepare(&mut self, request: &Prepare) -> Result<Option<Reply>> {
        if self.is_prepared() || !self.containers.is_empty() {
            return Err(Failure::invalid("the guest has containers"));
        }
        let spec: Spec = serde_json::from_str(request.spec.get())
            .map_err(|error| Failure::invalid(format!("runtime specification: {error}")))?;
        self.disks.find_all();
        if let Some(serial) = &request.scratch {
            prepare_disk(&mut self.disks, serial)?;
        }
        // Without a port containers go without shares.
        self.shares = Shares::start().ok();
        if let Some(pattern) = Pattern::new(spec) {
            let keys: Vec<_> = (0..request.containers).map(|_| self.keys()).collect();
            self.shells = Some(Shells::make(pattern, &keys, &self.poller)?);
        }
        settle();
        // It belongs to the template, not to each of its forks.
        self.send_kernel_log();
        self.kernel_log.skip();
        phase("prepared");
        Ok(Some(Reply::Done))
    }
}

/// Mounts the empty writable disk, and makes the first container's layer on it.
fn prepare_disk(disks: &mut Disks, serial: &str) -> Result<()> {
    let path = disks.acquire(serial, "ext4", MountFlags::empty())?;
    disks.hold(serial);
    // Overlayfs tests what an upper file system can do when it first meets it.
    let trial = format!("{path}/@trial");
    let lower = format!("{STATE_DIR}/.trial");
    for path in [&trial, &lower] {
        make_dir(path).context(|| format!("mkdir {path}"))?;
    }
    let layer = Layer::of(&trial);
    layer.make()?;
    mount_overlay(&lower, &layer, &lower)?;
    unmount(lower.as_str(), UnmountFlags::empty()).context(|| format!("unmount {lower}"))?;
    std::fs::remove_dir_all(&trial)
        .map_err(|error| Failure::failed(format!("remove {trial}: {error}")))?;
    Layer::of(&path).make().map(drop)
}

/// Waits until the kernel has done what it puts off until after its boot, and has written what it
/// writes behind: every fork would have to do it again.
fn settle() {
    rustix::fs::sync();
    let quiet = Duration::from_micros(QUIET_US.saturating_sub(uptime_us()));
    std::thread::sleep(quiet.max(Duration::from_millis(300)));
}

/// When a kernel that has nothing else to do has finished its boot, in microseconds of its life.
const QUIET_US: u64 = 2_500_000;
