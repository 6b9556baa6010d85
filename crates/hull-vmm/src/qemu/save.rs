//! Saves a template's device state, or all of a machine.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::snapshot::SaveError;

use super::command::{IgnoreShared, Migrate, NameDescriptor, QueryMigrate, QueryStatus, SaveSpeed};
use super::process::asynchronous;
use super::qmp::{Monitor, QmpError};

/// Stops the machine at the other end of `monitor` and returns its state without its memory.
pub(super) async fn save(monitor: &mut Monitor) -> Result<Vec<u8>, SaveError> {
    // The state says whether the machine ran, and forks do as it did.
    let status = monitor.execute(&QueryStatus {}).await.map_err(SaveError::Monitor)?;
    if !status.running {
        return Err(SaveError::Unsuited);
    }
    let (ours, theirs) = StdUnixStream::pair().map_err(SaveError::Channel)?;
    let stream = asynchronous(ours).map_err(SaveError::Channel)?;
    begin(monitor, &IgnoreShared::new(), theirs.into()).await?;
    let mut state = Vec::new();
    let read = stream.take(MOST_STATE as u64 + 1).read_to_end(&mut state).await;
    read.map_err(SaveError::Read)?;
    if state.len() > MOST_STATE {
        return Err(SaveError::TooLarge(MOST_STATE));
    }
    // The end of the stream comes before the end of the migration, if only just.
    finish(monitor, POLL).await.map(|()| state)
}

/// Writes the state of the machine at the other end of `monitor`, its memory included, to `file`.
pub(super) async fn save_whole(monitor: &mut Monitor, file: OwnedFd) -> Result<(), SaveError> {
    begin(monitor, &IgnoreShared::off(), file).await?;
    finish(monitor, SLOW_POLL).await
}

/// Waits for the end of the migration.
async fn finish(monitor: &mut Monitor, poll: Duration) -> Result<(), SaveError> {
    loop {
        let migration = monitor.execute(&QueryMigrate {}).await.map_err(SaveError::Monitor)?;
        match migration.status.as_deref() {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") => {
                let reason = migration.error_desc.unwrap_or_else(|| "no reason known".to_owned());
                return Err(SaveError::Failed(reason));
            }
            _ => tokio::time::sleep(poll).await,
        }
    }
}

/// Starts the migration to `target`.
async fn begin(
    monitor: &mut Monitor,
    memory: &IgnoreShared,
    target: OwnedFd,
) -> Result<(), SaveError> {
    let prepare = async {
        monitor.execute(memory).await?;
        monitor.execute(&SaveSpeed { max_bandwidth: UNLIMITED }).await?;
        monitor.execute_with(&NameDescriptor { fdname: NAME.to_owned() }, target.as_fd()).await
    };
    prepare.await.map_err(SaveError::Monitor)?;
    match monitor.execute(&Migrate { uri: format!("fd:{NAME}") }).await {
        Ok(_) => Ok(()),
        Err(error @ QmpError::Command { .. }) => Err(SaveError::Blocked(error)),
        Err(error) => Err(SaveError::Monitor(error)),
    }
}

const NAME: &str = "state";
/// Bytes per second; QEMU waits when a limit is reached.
const UNLIMITED: u64 = 1 << 40;
/// Device state is a third of a MiB.
const MOST_STATE: usize = 64 << 20;
const POLL: Duration = Duration::from_millis(1);
/// For what takes a second.
const SLOW_POLL: Duration = Duration::from_millis(10);
