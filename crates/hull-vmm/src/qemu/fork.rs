//! Starts a machine from a template.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::OFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::machine::Configuration;
use crate::platform::{self, MemoryUse};
use crate::shape::Shape;
use crate::snapshot::{ForkError, Snapshot};

use super::Qemu;
use super::command::{IgnoreShared, MigrateIncoming};
use super::command_line::Origin;
use super::preload::Preload;
use super::process::{QemuMachine, Start, asynchronous};
use super::qmp::{Early, Monitor};

impl QemuMachine {
    /// Forks a machine from `snapshot`; it has not loaded its state when this returns.
    pub(super) fn fork(
        qemu: &Qemu,
        shape: &Shape,
        configuration: &Configuration,
        snapshot: Snapshot,
    ) -> Result<Self, ForkError> {
        let preload = Preload::new(qemu)?;
        let Snapshot { memory, state } = snapshot;
        check_memory(&memory, shape.memory_bytes())?;
        let (ours, theirs) = StdUnixStream::pair().map_err(ForkError::Channel)?;
        let ours = asynchronous(ours).map_err(ForkError::Channel)?;
        // What the VMM takes for the guest's memory; it stays empty.
        let unused = platform::anonymous_memory(shape.memory_bytes()).map_err(ForkError::Memory)?;
        let early = Early::new()
            .and(&IgnoreShared::new())
            .and_then(|early| {
                early.and(&MigrateIncoming { uri: format!("fd:{}", theirs.as_raw_fd()) })
            })
            .map_err(ForkError::Monitor)?;
        let mut environment = vec![
            ("HULL_RAM_FD", memory.as_raw_fd().to_string().into()),
            ("HULL_RAM_SIZE", shape.memory_bytes().to_string().into()),
            ("HULL_RAM_DONE", theirs.as_raw_fd().to_string().into()),
        ];
        environment.extend(preload.environment());
        let (inherited, control, path) = preload.into_parts();
        let origin = Origin::Fork { memory: platform::descriptor_path(&unused) };
        let start = Start {
            origin,
            environment,
            inherited: [memory, unused, theirs.into()].into_iter().chain(inherited).collect(),
            early: Some(early),
            memory_use: MemoryUse::Frugal,
        };
        let mut machine = Self::spawn(qemu, shape, configuration, start)?;
        let (tell, remapped) = oneshot::channel();
        tokio::spawn(feed(ours, state, tell));
        machine.is_savable = true;
        machine.control = Some(control);
        machine.load = Some(Load { library: path, remapped: Some(remapped) });
        Ok(machine)
    }
}

/// A state that is being loaded.
#[derive(Debug)]
pub(super) struct Load {
    library: PathBuf,
    /// Told when the template's memory is the machine's; `None`: it has been told.
    remapped: Option<oneshot::Receiver<()>>,
}

impl Load {
    /// Waits until the guest runs. May be cancelled and called again.
    pub(super) async fn finish(&mut self, monitor: &mut Monitor) -> Result<(), ForkError> {
        monitor.negotiate().await.map_err(ForkError::Monitor)?;
        if let Some(remapped) = &mut self.remapped {
            // Memory is mapped before the monitor says anything, so this has happened or never
            // will: the loader goes on without a library that it cannot load.
            match timeout(GRACE, remapped).await {
                Ok(Ok(())) => self.remapped = None,
                _ => return Err(ForkError::NotRemapped(self.library.clone())),
            }
        }
        loop {
            let event = monitor.event().await.map_err(ForkError::Monitor)?;
            if event.name == "RESUME" {
                return Ok(());
            }
        }
    }
}

/// Writes `state` to the machine, once it has said that its memory is the template's. Ends with
/// the machine, if not before.
async fn feed(mut machine: UnixStream, state: Bytes, remapped: oneshot::Sender<()>) {
    let mut byte = [0];
    if machine.read_exact(&mut byte).await.is_err() {
        return;
    }
    // Nobody may be interested yet, or any more.
    let _ = remapped.send(());
    // What goes wrong here is seen at the monitor, with the reason.
    if machine.write_all(&state).await.is_ok() {
        let _ = machine.shutdown().await;
    }
}

/// Checks that `memory` is a file of `expected` bytes that a machine which has it cannot change.
fn check_memory(memory: &OwnedFd, expected: u64) -> Result<(), ForkError> {
    let fail = |error: rustix::io::Errno| ForkError::Memory(error.into());
    let flags = rustix::fs::fcntl_getfl(memory).map_err(fail)?;
    if flags & OFlags::RWMODE != OFlags::RDONLY {
        return Err(ForkError::MemoryWritable);
    }
    let found = rustix::fs::fstat(memory).map_err(fail)?.st_size as u64;
    if found != expected {
        return Err(ForkError::MemorySize { expected, found });
    }
    Ok(())
}

const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn memory_must_be_read_only_and_of_the_shapes_size() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4096).unwrap();
        let open = |writable| -> OwnedFd {
            File::options().read(true).write(writable).open(file.path()).unwrap().into()
        };
        assert!(check_memory(&open(false), 4096).is_ok());
        assert!(matches!(check_memory(&open(true), 4096), Err(ForkError::MemoryWritable)));
        let error = check_memory(&open(false), 8192).unwrap_err();
        assert!(matches!(error, ForkError::MemorySize { expected: 8192, found: 4096 }));
    }
}
