//! A running QEMU.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clone::{CloneError, Exchange};
use crate::disk::{Disk, DiskError, Slot};
use crate::initrd;
use crate::machine::{BootError, Configuration, End, Machine, PowerState};
use crate::nic::{Nic, NicError, NicPlace};
use crate::platform::{self, MemoryUse};
use crate::shape::Shape;
use crate::snapshot::{ForkError, SaveError};

use super::attach::Nodes;
use super::clone::{Exchanges, Numbers, Original};
use super::command::{Continue, QueryStatus, Stop};
use super::command_line::{Origin, Resources, render};
use super::fork::Load;
use super::nic::Ports;
use super::qmp::{Early, Monitor, QmpError};
use super::vmm_process::VmmProcess;
use super::{Qemu, clone, mirror, save};

/// A virtual machine in a QEMU process.
#[derive(Debug)]
pub struct QemuMachine {
    process: VmmProcess,
    pub(super) pid: Option<u32>,
    pub(super) monitor: Monitor,
    channel: Option<UnixStream>,
    share: Option<UnixStream>,
    console: Option<pipe::Receiver>,
    errors: Option<JoinHandle<String>>,
    reason: Option<String>,
    end: Option<End>,
    pub(super) nodes: Nodes,
    pub(super) ports: Ports,
    /// The guest's memory is left out of the state that is saved.
    pub(super) is_savable: bool,
    pub(super) load: Option<Load>,
    /// Where its process hears of clones to make; `None`: it cannot.
    pub(super) control: Option<UnixStream>,
    pub(super) numbers: Numbers,
}

/// This process's ends of what connects it with a machine's.
pub(super) struct Streams {
    pub(super) channel: StdUnixStream,
    pub(super) share: StdUnixStream,
    pub(super) console: OwnedFd,
    pub(super) errors: OwnedFd,
}

/// What differs between machines that boot and machines that are forked.
pub(super) struct Start {
    pub(super) origin: Origin,
    /// Descriptors that `origin` and `environment` name.
    pub(super) inherited: Vec<OwnedFd>,
    pub(super) environment: Vec<(&'static str, OsString)>,
    /// Said to the monitor at once.
    pub(super) early: Option<Early>,
    pub(super) memory_use: MemoryUse,
}

impl QemuMachine {
    /// Boots a machine in memory of the process.
    pub(super) fn boot(
        qemu: &Qemu,
        shape: &Shape,
        configuration: &Configuration,
    ) -> Result<Self, BootError> {
        let initrd = initrd(shape)?;
        let start = Start {
            origin: Origin::Boot { initrd: platform::descriptor_path(&initrd) },
            inherited: vec![initrd],
            environment: Vec::new(),
            early: None,
            memory_use: MemoryUse::Fast,
        };
        Self::spawn(qemu, shape, configuration, start)
    }

    /// Boots a machine in memory that is the file `memory`.
    pub(super) fn boot_template(
        qemu: &Qemu,
        shape: &Shape,
        configuration: &Configuration,
        memory: &Path,
    ) -> Result<Self, BootError> {
        let initrd = initrd(shape)?;
        let file = memory_file(memory, shape)
            .map_err(|source| BootError::Memory { path: memory.to_owned(), source })?;
        let start = Start {
            origin: Origin::Template {
                initrd: platform::descriptor_path(&initrd),
                memory: platform::descriptor_path(&file),
            },
            inherited: vec![initrd, file],
            environment: Vec::new(),
            early: None,
            memory_use: MemoryUse::Fast,
        };
        Ok(Self { is_savable: true, ..Self::spawn(qemu, shape, configuration, start)? })
    }

    pub(super) fn spawn(
        qemu: &Qemu,
        shape: &Shape,
        configuration: &Configuration,
        start: Start,
    ) -> Result<Self, BootError> {
        for slot in Slot::ALL {
            if !shape.devices.has(slot) && *configuration.disks.of(slot) != Disk::Placeholder {
                return Err(DiskError::NoSuchSlot(slot).into());
            }
        }
        let (channel, guest_channel) = StdUnixStream::pair().map_err(BootError::Channel)?;
        let (share, guest_share) = StdUnixStream::pair().map_err(BootError::Channel)?;
        let (monitor, guest_monitor) = StdUnixStream::pair().map_err(BootError::Channel)?;
        let resources = Resources {
            monitor: guest_monitor.as_raw_fd(),
            channel: guest_channel.as_raw_fd(),
            share: guest_share.as_raw_fd(),
            origin: start.origin,
            firmware: qemu.firmware.clone(),
            sandbox: cfg!(target_os = "linux"),
        };
        let numbers = Numbers {
            monitor: resources.monitor,
            channel: resources.channel,
            share: resources.share,
        };
        let (console, its_console) = io::pipe().map_err(BootError::Channel)?;
        let (errors, its_errors) = io::pipe().map_err(BootError::Channel)?;
        let mut command = Command::new(&qemu.program);
        command
            .args(render(shape, configuration, &resources)?)
            .current_dir(&configuration.working_dir)
            .env_clear()
            .envs(start.environment)
            .stdin(Stdio::null())
            .stdout(its_console)
            .stderr(its_errors)
            .process_group(0)
            .kill_on_drop(true);
        let mut inherited = start.inherited;
        inherited.extend([guest_channel, guest_share, guest_monitor].map(OwnedFd::from));
        platform::prepare(&mut command, inherited, start.memory_use);
        let child = command
            .spawn()
            .map_err(|source| BootError::Spawn { program: qemu.program.clone(), source })?;
        // The command has the process's ends of the pipes.
        drop(command);
        let streams = Streams { channel, share, console: console.into(), errors: errors.into() };
        let process = VmmProcess::Child(child);
        let new = move || -> io::Result<Self> {
            let monitor = match &start.early {
                Some(early) => Monitor::speaking_first(monitor, early),
                None => Monitor::new(monitor),
            };
            Self::new(process, monitor?, streams, numbers, Nodes::new(shape.devices))
        };
        new().map_err(BootError::Channel)
    }

    /// Returns the clone of a machine, which stands still.
    pub(super) fn of_clone(
        original: &Original,
        process: VmmProcess,
        monitor: StdUnixStream,
        streams: Streams,
    ) -> io::Result<Self> {
        let monitor = Monitor::negotiated(monitor)?;
        let Original { numbers, nodes, ports, .. } = original.clone();
        let machine = Self::new(process, monitor, streams, numbers, nodes)?;
        Ok(Self { is_savable: true, ports, ..machine })
    }

    fn new(
        process: VmmProcess,
        monitor: Monitor,
        streams: Streams,
        numbers: Numbers,
        nodes: Nodes,
    ) -> io::Result<Self> {
        Ok(Self {
            pid: process.id(),
            process,
            monitor,
            channel: Some(asynchronous(streams.channel)?),
            share: Some(asynchronous(streams.share)?),
            console: Some(pipe::Receiver::from_owned_fd(streams.console)?),
            errors: Some(tokio::spawn(last_of(pipe::Receiver::from_owned_fd(streams.errors)?))),
            reason: None,
            end: None,
            ports: Ports::new(nodes.devices()),
            nodes,
            is_savable: false,
            load: None,
            control: None,
            numbers,
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
    type Console = pipe::Receiver;

    fn pid(&self) -> Option<u32> {
        self.pid
    }

    fn take_channel(&mut self) -> Option<UnixStream> {
        self.channel.take()
    }

    fn take_share(&mut self) -> Option<UnixStream> {
        self.share.take()
    }

    fn take_console(&mut self) -> Option<pipe::Receiver> {
        self.console.take()
    }

    async fn pause(&mut self) -> Result<(), QmpError> {
        self.monitor.execute(&Stop {}).await.map(drop)
    }

    async fn resume(&mut self) -> Result<(), QmpError> {
        self.monitor.execute(&Continue {}).await.map(drop)
    }

    async fn attach_disk(&mut self, slot: Slot, disk: &Disk) -> Result<(), DiskError> {
        if self.load.is_some() {
            return Err(DiskError::NotResumed);
        }
        self.nodes.exchange(&mut self.monitor, slot, disk).await
    }

    async fn begin_copy(&mut self, slot: Slot, path: &Path) -> Result<(), DiskError> {
        if self.load.is_some() {
            return Err(DiskError::NotResumed);
        }
        if slot.is_read_only() || !self.nodes.devices().has(slot) {
            return Err(DiskError::NoSuchSlot(slot));
        }
        mirror::begin(&mut self.monitor, slot, path).await
    }

    async fn catch_up_copy(&mut self, slot: Slot) -> Result<(), DiskError> {
        mirror::catch_up(&mut self.monitor, slot).await
    }

    async fn finish_copy(&mut self, slot: Slot) -> Result<(), DiskError> {
        mirror::finish(&mut self.monitor, slot).await
    }

    async fn abandon_copy(&mut self, slot: Slot) {
        mirror::abandon(&mut self.monitor, slot).await;
    }

    fn nics(&self) -> Vec<NicPlace> {
        self.ports.places()
    }

    async fn plug_nic(&mut self, nic: &Nic, tap: OwnedFd) -> Result<(), NicError> {
        if self.load.is_some() {
            return Err(NicError::NotResumed);
        }
        self.ports.plug(&mut self.monitor, self.pid, nic, &tap).await
    }

    fn can_rewire_nic(&self, id: &str) -> bool {
        self.is_cloneable() && self.ports.can_rewire(id)
    }

    async fn rewire_nic(&mut self, from: &str, to: &str, tap: OwnedFd) -> Result<(), NicError> {
        let control = self.control.as_ref().ok_or(NicError::Fixed)?;
        self.ports.rewire(control, from, to, tap).await
    }

    async fn unplug_nic(&mut self, id: &str) -> Result<(), NicError> {
        self.ports.unplug(&mut self.monitor, id).await
    }

    async fn save(&mut self) -> Result<Vec<u8>, SaveError> {
        if !self.is_savable || self.load.is_some() {
            return Err(SaveError::Unsuited);
        }
        save::save(&mut self.monitor).await
    }

    async fn save_whole(&mut self, file: OwnedFd) -> Result<(), SaveError> {
        if !self.is_savable || self.load.is_some() {
            return Err(SaveError::Unsuited);
        }
        save::save_whole(&mut self.monitor, file).await
    }

    async fn offer(&mut self, listener: OwnedFd) -> Result<Original, CloneError> {
        let control = self.control.as_ref().ok_or(CloneError::Unsuited)?;
        clone::listen(control, listener).await?;
        Ok(self.original())
    }

    async fn twin(&mut self, name: &str, files: Vec<Exchange>) -> Result<Self, CloneError> {
        let control = self.control.as_ref().ok_or(CloneError::Unsuited)?;
        let numbers = self.ports.dead_taps()?;
        let exchanges = Exchanges { files, numbers, written: None };
        Self::clone_by(&self.original(), control, name, exchanges).await
    }

    async fn resumed(&mut self) -> Result<(), ForkError> {
        let Some(load) = &mut self.load else {
            return Ok(());
        };
        let failure = match load.finish(&mut self.monitor).await {
            Ok(()) => {
                self.load = None;
                return Ok(());
            }
            Err(failure) => failure,
        };
        self.kill();
        let end = self.wait().await;
        Err(match failure {
            // What it says itself is more telling.
            ForkError::Monitor(QmpError::Closed) => ForkError::Ended(end),
            failure => failure,
        })
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
        self.process.kill();
    }

    async fn wait(&mut self) -> End {
        if let Some(end) = &self.end {
            return end.clone();
        }
        // The monitor closes when the process ends; an unread event would be lost.
        self.watch().await;
        let status = self.process.wait().await;
        let message = match &mut self.errors {
            // Something that QEMU left behind could hold the pipe open.
            Some(errors) => match timeout(LAST_WORDS, errors).await {
                Ok(text) => text.unwrap_or_default(),
                Err(_) => String::new(),
            },
            None => String::new(),
        };
        self.errors = None;
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

/// Returns the shape's initial file system.
fn initrd(shape: &Shape) -> Result<OwnedFd, BootError> {
    platform::anonymous_file(&initrd::build(&shape.agent.path)?).map_err(BootError::Channel)
}

/// Makes or empties the file for a template's memory.
fn memory_file(path: &Path, shape: &Shape) -> io::Result<OwnedFd> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(shape.memory_bytes())?;
    Ok(file.into())
}

pub(super) fn asynchronous(stream: StdUnixStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// Reads standard error to its end and returns the last of it.
async fn last_of(mut pipe: pipe::Receiver) -> String {
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
