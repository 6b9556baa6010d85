//! The trait that every VMM implements, and the machines that it makes.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::io::AsyncRead;
use tokio::net::UnixStream;

use crate::clone::{CloneError, Exchange};
use crate::disk::{Disk, DiskError, Disks, Slot};
use crate::initrd::InitrdError;
use crate::nic::{Nic, NicError, NicPlace};
use crate::qemu::Original;
use crate::qemu::qmp::QmpError;
use crate::shape::Shape;
use crate::snapshot::{ForkError, SaveError, Saved, Snapshot};

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

    /// As [`Vmm::boot`], with the guest's memory in the file `memory`, which is made or emptied.
    /// When its guest is ready, [`Machine::save`] completes the template.
    fn boot_template(
        &self,
        shape: &Shape,
        configuration: Configuration,
        memory: &Path,
    ) -> impl Future<Output = Result<Self::Machine, BootError>>;

    /// Starts a machine that goes on where the one that was saved as `snapshot` stopped, and
    /// returns as soon as its process runs; [`Machine::resumed`] waits for the guest. `shape` must
    /// be the one of the template. The thread must live on as for [`Vmm::boot`].
    ///
    /// What the guest knows of time, and what makes it different from its siblings (entropy,
    /// names, addresses), is the template's until the caller tells it.
    ///
    /// # Errors
    /// [`ForkError`]; then nothing is left of it, and the caller can boot a machine instead.
    fn fork(
        &self,
        shape: &Shape,
        configuration: Configuration,
        snapshot: Snapshot,
    ) -> impl Future<Output = Result<Self::Machine, ForkError>>;

    /// Starts a machine that is as the one was that was `saved`, and stands still as that one did.
    /// `shape` must be the same. What sets it apart is missing as after [`Vmm::fork`]. The thread
    /// must live on as for [`Vmm::boot`].
    ///
    /// # Errors
    /// [`ForkError`]; then nothing is left of it.
    fn restore(
        &self,
        shape: &Shape,
        configuration: Configuration,
        saved: Saved,
    ) -> impl Future<Output = Result<Self::Machine, ForkError>>;
}

/// A virtual machine. Dropping it kills it.
pub trait Machine {
    /// Output of the guest's console.
    type Console: AsyncRead + Unpin + 'static;

    /// Returns the VMM's process.
    fn pid(&self) -> Option<u32>;

    /// Returns the host's end of the guest channel, once.
    fn take_channel(&mut self) -> Option<UnixStream>;

    /// Returns the host's end of the port that carries shared directories, once.
    fn take_share(&mut self) -> Option<UnixStream>;

    /// Returns the guest's console, once. It must be read, or the guest stops.
    fn take_console(&mut self) -> Option<Self::Console>;

    /// Stops all vCPUs.
    fn pause(&mut self) -> impl Future<Output = Result<(), QmpError>>;

    /// Lets the vCPUs go on.
    fn resume(&mut self) -> impl Future<Output = Result<(), QmpError>>;

    /// Puts `disk` into `slot` in place of the disk that is there, whose file is then closed. The
    /// guest is not told: it must not use the slot meanwhile, nor keep anything of what it read.
    ///
    /// # Errors
    /// [`DiskError`]; the old disk then stays, unless the error is [`DiskError::Detach`].
    fn attach_disk(
        &mut self,
        slot: Slot,
        disk: &Disk,
    ) -> impl Future<Output = Result<(), DiskError>>;

    /// Notes what the guest writes to the disk in `slot` from now on, while the caller copies the
    /// disk's file to the file `path`, which must be empty and [`crate::disk::DISK_BYTES`] long.
    /// When that is done, [`Machine::catch_up_copy`] has to follow, and [`Machine::finish_copy`]; or
    /// [`Machine::abandon_copy`] at any time.
    ///
    /// # Errors
    /// [`DiskError`]; then nothing has been begun.
    fn begin_copy(
        &mut self,
        slot: Slot,
        path: &Path,
    ) -> impl Future<Output = Result<(), DiskError>>;

    /// Writes what was noted to the copy, while the guest runs.
    ///
    /// # Errors
    /// [`DiskError`].
    fn catch_up_copy(&mut self, slot: Slot) -> impl Future<Output = Result<(), DiskError>>;

    /// Completes the copy of the disk in `slot`, while the machine is paused; takes as long as the
    /// guest's last writes do.
    ///
    /// # Errors
    /// [`DiskError`]; the copy is of no use then, and nothing goes on.
    fn finish_copy(&mut self, slot: Slot) -> impl Future<Output = Result<(), DiskError>>;

    /// Ends what [`Machine::begin_copy`] has begun.
    fn abandon_copy(&mut self, slot: Slot) -> impl Future<Output = ()>;

    /// Returns the network interfaces that it has.
    fn nics(&self) -> Vec<NicPlace>;

    /// Plugs a network interface whose other end is `tap`. Its guest finds it a moment later.
    ///
    /// # Errors
    /// [`NicError`].
    fn plug_nic(&mut self, nic: &Nic, tap: OwnedFd) -> impl Future<Output = Result<(), NicError>>;

    /// Whether [`Machine::rewire_nic`] works for the network interface `id`.
    fn can_rewire_nic(&self, id: &str) -> bool;

    /// Makes the network interface `from` one that is called `to` and whose other end is `tap`. Its
    /// guest notices nothing: it has to be told of another hardware address.
    ///
    /// # Errors
    /// [`NicError`]; it then stays what it was.
    fn rewire_nic(
        &mut self,
        from: &str,
        to: &str,
        tap: OwnedFd,
    ) -> impl Future<Output = Result<(), NicError>>;

    /// Unplugs the network interface `id` and closes its tap.
    ///
    /// # Errors
    /// [`NicError`]; it then stays.
    fn unplug_nic(&mut self, id: &str) -> impl Future<Output = Result<(), NicError>>;

    /// Stops a machine of [`Vmm::boot_template`] and returns its devices' state, which with its
    /// memory file makes a [`Snapshot`]. The memory file is complete when the machine has been
    /// killed; [`Machine::resume`] would change it again. A machine of [`Vmm::fork`] can be saved,
    /// too, but its memory is its own: the template's, and pages that only its process has.
    ///
    /// # Errors
    /// [`SaveError`].
    fn save(&mut self) -> impl Future<Output = Result<Vec<u8>, SaveError>>;

    /// Writes all of this machine, which must be paused, to `file`: memory and devices, not its
    /// disks. No disk may be one that cannot be saved ([`crate::DiskFormat::Vmdk`]).
    ///
    /// # Errors
    /// [`SaveError`].
    fn save_whole(&mut self, file: OwnedFd) -> impl Future<Output = Result<(), SaveError>>;

    /// Has others clone this machine, who connect to `listener`, and returns what they need to know.
    /// It must be paused for as long as anybody does.
    ///
    /// # Errors
    /// [`CloneError`].
    fn offer(&mut self, listener: OwnedFd) -> impl Future<Output = Result<Original, CloneError>>;

    /// Returns a copy of this machine, which must be paused; so is the copy. It is called `name` in
    /// the host's process list. It has `files`
    /// open in place of this machine's; other disks are the same and must not be written by both.
    /// Its network interfaces have no other end until [`Machine::rewire_nic`] gives them one.
    /// What sets it apart from this one is missing as after [`Vmm::fork`].
    ///
    /// # Errors
    /// [`CloneError`].
    fn twin(
        &mut self,
        name: &str,
        files: Vec<Exchange>,
    ) -> impl Future<Output = Result<Self, CloneError>>
    where
        Self: Sized;

    /// Waits until the guest of a forked machine runs; returns at once for others. Nothing must be
    /// written to its channel before. May be cancelled and called again.
    ///
    /// # Errors
    /// [`ForkError`] says why it will never run; the machine has been killed then.
    fn resumed(&mut self) -> impl Future<Output = Result<(), ForkError>>;

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
    /// Disks in the slots that the shape has.
    pub disks: Disks,
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
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("cannot make the initial file system")]
    Initrd(#[from] InitrdError),
    #[error("cannot make the file `{}` for the guest's memory", .path.display())]
    Memory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot run `{}`", .program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}
