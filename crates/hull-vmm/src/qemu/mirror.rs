//! What a guest writes to a disk while somebody copies that is written to the copy, too, so that
//! little is left when the machine stands still.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::disk::{DiskError, Slot};

use super::command::{
    AddNode, CancelJob, DeleteNode, DismissJob, Job, Mirror, PauseJob, QueryJobs, ResumeJob,
};
use super::qmp::Monitor;

/// Notes what is written to the disk in `slot` from now on, for its copy `path`.
pub(super) async fn begin(monitor: &mut Monitor, slot: Slot, path: &Path) -> Result<(), DiskError> {
    let filename = path.to_str().ok_or_else(|| DiskError::Path(path.to_owned()))?;
    let failed = |source| DiskError::Copy { slot, source };
    let node = serde_json::json!({
        "driver": "file",
        "filename": filename,
        "node-name": name(slot),
        "discard": "unmap",
    });
    monitor.execute(&AddNode(node)).await.map_err(failed)?;
    let mirror = Mirror {
        job_id: name(slot),
        device: slot.name(),
        target: name(slot),
        sync: "none",
        auto_dismiss: false,
    };
    let mirrored = match monitor.execute(&mirror).await {
        Ok(_) => pause(monitor, slot).await,
        Err(error) => Err(failed(error)),
    };
    if mirrored.is_err() {
        abandon(monitor, slot).await;
    }
    mirrored
}

/// Has the job write nothing until [`catch_up`]: it would be written over by who copies.
async fn pause(monitor: &mut Monitor, slot: Slot) -> Result<(), DiskError> {
    let paused = monitor.execute(&PauseJob { id: name(slot) }).await;
    paused.map_err(|source| DiskError::Copy { slot, source })?;
    wait(monitor, slot, &[PAUSED, READY_AND_PAUSED], None).await
}

/// Writes what has been noted; returns when the copy is as good as the disk but for what is being
/// written, or the guest writes as fast as this does.
pub(super) async fn catch_up(monitor: &mut Monitor, slot: Slot) -> Result<(), DiskError> {
    let resumed = monitor.execute(&ResumeJob { id: name(slot) }).await;
    resumed.map_err(|source| DiskError::Copy { slot, source })?;
    wait(monitor, slot, &[READY], Some(PATIENCE)).await
}

/// Completes the copy, while the machine stands still.
pub(super) async fn finish(monitor: &mut Monitor, slot: Slot) -> Result<(), DiskError> {
    let finished = async {
        wait(monitor, slot, &[READY], None).await?;
        // Of a copy that is complete it means that the machine does not go on with it.
        let cancel = CancelJob { device: name(slot), force: false };
        monitor.execute(&cancel).await.map_err(|source| DiskError::Copy { slot, source })?;
        wait(monitor, slot, &[CONCLUDED], None).await
    };
    let finished = finished.await;
    abandon(monitor, slot).await;
    finished
}

/// Ends copying, however far it is.
pub(super) async fn abandon(monitor: &mut Monitor, slot: Slot) {
    // It may never have begun, or be at its end; the node can be removed as soon as it is.
    let cancel = CancelJob { device: name(slot), force: true };
    let _ = monitor.execute(&cancel).await;
    let _ = wait(monitor, slot, &[CONCLUDED], None).await;
    let _ = monitor.execute(&DismissJob { id: name(slot) }).await;
    let _ = monitor.execute(&DeleteNode { node_name: name(slot) }).await;
}

/// Waits until the job's state is one of `wanted`, or for so long.
async fn wait(
    monitor: &mut Monitor,
    slot: Slot,
    wanted: &[&str],
    patience: Option<Duration>,
) -> Result<(), DiskError> {
    let begin = Instant::now();
    loop {
        let jobs = monitor.execute(&QueryJobs {}).await;
        let jobs: Vec<Job> = jobs.map_err(|source| DiskError::Copy { slot, source })?;
        let Some(job) = jobs.into_iter().find(|job| job.id == name(slot)) else {
            return Err(DiskError::NotCopied { slot, reason: "it has ended".to_owned() });
        };
        if let Some(reason) = job.error {
            return Err(DiskError::NotCopied { slot, reason });
        }
        if wanted.contains(&job.status.as_str()) {
            return Ok(());
        }
        if job.status == CONCLUDED {
            return Err(DiskError::NotCopied { slot, reason: "it was cancelled".to_owned() });
        }
        if patience.is_some_and(|patience| begin.elapsed() > patience) {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

/// Name of the job and of the copy's node.
fn name(slot: Slot) -> String {
    format!("copy-{}", slot.name())
}

const PAUSED: &str = "paused";
const READY_AND_PAUSED: &str = "standby";
/// All that was to be copied has been.
const READY: &str = "ready";
/// The job has ended.
const CONCLUDED: &str = "concluded";
/// How long the guest may write faster than is copied.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(1);
