//! A running QEMU.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::disk::{Disk, DiskError, Slot};
use crate::initrd;
use crate::machine::{BootError, Configuration, End, Machine, PowerState};
use crate::platform;
use crate::shape::Shape;
use crate::snapshot::{ForkError, SaveError};

use super::command_line::{Resources, render};
use super::qmp::{Continue, Monitor, QmpError, QueryStatus, Stop};

/// A virtual machine in a QEMU process.
#[derive(Debug)]
pub struct QemuMachine {
    child: Child,
    pid: Option<u32>,
    monitor: Monitor,
    channel: Option<UnixStream>,
    console: Option<ChildStdout>,
    errors: Option<JoinHandle<String>>,
    reason: Option<String>,
    end: Option<End>,
}

impl QemuMachine {
    pub(super) fn spawn(
        program: &Path,
        firmware: Option<&Path>,
        sandbox: bool,
        shape: &Shape,
        configuration: &Configuration,
    ) -> Result<Self, BootError> {
        let initrd = platform::anonymous_file(&initrd::build(&shape.agent.path)?)
            .map_err(BootError::Channel)?;
        let (channel, guest_channel) = StdUnixStream::pair().map_err(BootError::Channel)?;
        let (monitor, guest_monitor) = StdUnixStream::pair().map_err(BootError::Channel)?;
        let resources = Resources {
            monitor: guest_monitor.as_raw_fd(),
            channel: guest_channel.as_raw_fd(),
            initrd: platform::descriptor_path(&initrd),
            firmware: firmware.map(Path::to_owned),
            sandbox,
        };
        let mut command = Command::new(program);
        command
            .args(render(shape, configuration, &resources)?)
            .current_dir(&configuration.working_dir)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let inherited = vec![OwnedFd::from(guest_channel), OwnedFd::from(guest_monitor), initrd];
        platform::prepare(&mut command, inherited);
        let mut child = command
            .spawn()
            .map_err(|source| BootError::Spawn { program: program.to_owned(), source })?;
        Ok(Self {
            pid: child.id(),
            monitor: Monitor::new(asynchronous(monitor)?),
            channel: Some(asynchronous(channel)?),
            console: child.stdout.take(),
            errors: child.stderr.take().map(|pipe| tokio::spawn(last_of(pipe))),
            reason: None,
            end: None,
            child,
        })
    }

    /// Returns the monitor.
    pub fn monitor(&mut self) -> &mut Monitor {
        &mut self.monitor
    }

    /// Reads events until the monitor closes, keeping why the machine ended.
    async fn watch(&mut self) {
        loop {
            match self.monitor.event().await {
                Ok(event) if event.name == "SHUTDOWN" => {
                    self.reason = event.data["reason"].as_str().map(str::to_owned);
                }
                Ok(event) if event.name == "GUEST_PANICKED" => {
                    self.reason = Some("guest-panic".to_owned());
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

impl Machine for QemuMachine {
    type Console = ChildStdout;

    fn pid(&self) -> Option<u32> {
        self.pid
    }

    fn take_channel(&mut self) -> Option<UnixStream> {
        self.channel.take()
    }

    fn take_console(&mut self) -> Option<ChildStdout> {
        self.console.take()
    }

    async fn pause(&mut self) -> Result<(), QmpError> {
        self.monitor.execute(&Stop {}).await.map(drop)
    }

    async fn resume(&mut self) -> Result<(), QmpError> {
        self.monitor.execute(&Continue {}).await.map(drop)
    }

    async fn attach_disk(&mut self, slot: Slot, _disk: &Disk) -> Result<(), DiskError> {
        Err(DiskError::NoSuchSlot(slot))
    }

    async fn save(&mut self) -> Result<Vec<u8>, SaveError> {
        Err(SaveError::Unsuited)
    }

    async fn resumed(&mut self) -> Result<(), ForkError> {
        Ok(())
    }

    async fn power_state(&mut self) -> Result<PowerState, QmpError> {
        if self.end.is_some() {
            return Ok(PowerState::Ended);
        }
        match self.monitor.execute(&QueryStatus {}).await {
            Ok(status) if status.running => Ok(PowerState::Running),
            Ok(status) if status.status == "shutdown" => Ok(PowerState::Ended),
            Ok(_) => Ok(PowerState::Paused),
            Err(QmpError::Closed) => Ok(PowerState::Ended),
            Err(error) => Err(error),
        }
    }

    fn kill(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.start_kill();
    }

    async fn wait(&mut self) -> End {
        if let Some(end) = &self.end {
            return end.clone();
        }
        // The monitor closes when the process ends; an unread event would be lost.
        self.watch().await;
        let status = self.child.wait().await;
        let message = match &mut self.errors {
            // Something that QEMU left behind could hold the pipe open.
            Some(errors) => match timeout(LAST_WORDS, errors).await {
                Ok(text) => text.unwrap_or_default(),
                Err(_) => String::new(),
            },
            None => String::new(),
        };
        self.errors = None;
        let status = status.ok();
        let end = End {
            code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
            reason: self.reason.clone(),
            message,
        };
        self.end = Some(end.clone());
        end
    }
}

fn asynchronous(stream: StdUnixStream) -> Result<UnixStream, BootError> {
    let prepare = || -> io::Result<UnixStream> {
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    };
    prepare().map_err(BootError::Channel)
}

/// Reads standard error to its end and returns the last of it.
async fn last_of(mut pipe: ChildStderr) -> String {
    let mut kept = VecDeque::new();
    let mut buffer = [0; 1024];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => kept.extend(&buffer[..read]),
        }
        let excess = kept.len().saturating_sub(MOST_ERRORS);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(kept.make_contiguous()).into_owned()
}

/// Bytes of standard error that are kept.
const MOST_ERRORS: usize = 8 << 10;
const LAST_WORDS: Duration = Duration::from_millis(200);
