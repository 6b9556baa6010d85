//! The trait that every VMM implements, and the machines that it makes.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tokio::io::AsyncRead;
use tokio::net::UnixStream;

use crate::initrd::InitrdError;
use crate::qemu::qmp::QmpError;
use crate::shape::Shape;

/// Makes virtual machines.
pub trait Vmm {
    type Machine: Machine;

    /// Starts a machine and returns as soon as its process runs; the guest boots meanwhile.
    ///
    /// Must be called from a thread that lives as long as the machine shall: on Linux the VMM's
    /// process ends with the thread that started it.
    fn boot(
        &self,
        shape: &Shape,
        configuration: Configuration,
    ) -> impl Future<Output = Result<Self::Machine, BootError>>;
}

/// A virtual machine. Dropping it kills it.
pub trait Machine {
    /// Output of the guest's console.
    type Console: AsyncRead + Unpin + 'static;

    /// Returns the VMM's process.
    fn pid(&self) -> Option<u32>;

    /// Returns the host's end of the guest channel, once.
    fn take_channel(&mut self) -> Option<UnixStream>;

    /// Returns the guest's console, once. It must be read, or the guest stops.
    fn take_console(&mut self) -> Option<Self::Console>;

    /// Stops all vCPUs.
    fn pause(&mut self) -> impl Future<Output = Result<(), QmpError>>;

    /// Lets the vCPUs go on.
    fn resume(&mut self) -> impl Future<Output = Result<(), QmpError>>;

    /// Returns what the machine does, as far as the VMM knows.
    fn power_state(&mut self) -> impl Future<Output = Result<PowerState, QmpError>>;

    /// Ends the machine at once; [`Machine::wait`] then returns.
    fn kill(&mut self);

    /// Waits until the machine has ended. May be cancelled and called again.
    fn wait(&mut self) -> impl Future<Output = End>;
}

/// What one boot of a machine is given.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Shown in the host's process list.
    pub name: String,
    /// The VMM's working directory.
    pub working_dir: PathBuf,
    /// Disk with serial number `image`; needed exactly if the shape has one.
    pub image: Option<Disk>,
    /// Disk with serial number `scratch`; needed exactly if the shape has one.
    pub scratch: Option<Disk>,
}

/// A disk in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Disk {
    pub path: PathBuf,
    pub format: DiskFormat,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskFormat {
    Raw,
    /// VMDK descriptor of flat extents, whose paths are relative to the descriptor.
    Vmdk,
}

impl Disk {
    /// Returns the disk in the file `path`: a VMDK descriptor if it is named so, else raw.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let format = match path.extension() {
            Some(extension) if extension == "vmdk" => DiskFormat::Vmdk,
            _ => DiskFormat::Raw,
        };
        Self { path, format }
    }
}

/// What a machine does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PowerState {
    Ended,
    Paused,
    Running,
}

/// How a machine ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct End {
    /// Exit code of the VMM's process, if it was not a signal.
    pub code: Option<i32>,
    /// Signal that ended the VMM's process.
    pub signal: Option<i32>,
    /// Why the VMM says that it ended, for example `guest-reset`.
    pub reason: Option<String>,
    /// The last that the VMM wrote to its standard error.
    pub message: String,
}

impl std::fmt::Display for End {
    /// The most telling thing first: what the VMM complained about, the signal, the reason.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = self.message.lines().rfind(|line| !line.trim().is_empty());
        match (last, self.signal, &self.reason, self.code) {
            (Some(line), ..) => f.write_str(line.trim()),
            (None, Some(signal), ..) => write!(f, "killed by signal {signal}"),
            (None, None, Some(reason), _) => f.write_str(reason),
            (None, None, None, Some(code)) => write!(f, "exit code {code}"),
            (None, None, None, None) => f.write_str("no reason known"),
        }
    }
}

/// Why a machine could not be started.
#[derive(Debug, Error)]
pub enum BootError {
    #[error("cannot make the machine's sockets")]
    Channel(#[source] io::Error),
    #[error("the configuration does not fit the shape: {0}")]
    Configuration(&'static str),
    #[error("cannot make the initial file system")]
    Initrd(#[from] InitrdError),
    #[error("cannot run `{}`", .program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}
