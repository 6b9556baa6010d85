//! Templates: a machine's memory and device state, and machines that are forked from them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use bytes::Bytes;
use thiserror::Error;

use crate::machine::{BootError, End};
use crate::nic::NicPlace;
use crate::qemu::qmp::QmpError;

/// What a machine is forked from.
///
/// Neither may change while a machine that was forked from it lives: the memory is mapped, not
/// read. A forked machine cannot change it: it has no descriptor that could be written.
#[derive(Debug)]
pub struct Snapshot {
    /// The guest's memory: the file that was given to [`crate::Vmm::boot_template`], opened for
    /// reading only.
    pub memory: OwnedFd,
    /// What [`crate::Machine::save`] returned. It must be verified: the VMM trusts it.
    pub state: Bytes,
}

/// A machine that was saved whole.
#[derive(Debug)]
pub struct Saved {
    /// What [`crate::Machine::save_whole`] wrote, opened for reading.
    pub state: OwnedFd,
    /// What [`crate::Machine::nics`] said, and a tap for each.
    pub nics: Vec<(NicPlace, OwnedFd)>,
}

/// Why a machine's state was not saved.
#[derive(Debug, Error)]
pub enum SaveError {
    #[error("the machine has a disk that cannot be part of a template, or another obstacle")]
    Blocked(#[source] QmpError),
    #[error("cannot make a socket for the machine's state")]
    Channel(#[source] io::Error),
    #[error("the VMM did not save the machine: {0}")]
    Failed(String),
    #[error("the VMM did not do what saving needs")]
    Monitor(#[source] QmpError),
    #[error("the machine's state could not be read")]
    Read(#[source] io::Error),
    #[error("the machine's state is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the machine's memory is part of its state, or the machine does not run")]
    Unsuited,
}

/// Why there is no forked machine.
#[derive(Debug, Error)]
pub enum ForkError {
    #[error("the forked machine ended: {0}")]
    Ended(End),
    #[error("the library `{}` that forks need cannot be read", .path.display())]
    Library {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no library for forks was given")]
    NoLibrary,
    #[error("the template's memory has {found} bytes instead of {expected}")]
    MemorySize { expected: u64, found: u64 },
    #[error("the template's memory cannot be used")]
    Memory(#[source] io::Error),
    #[error("the template's memory is open for writing")]
    MemoryWritable,
    #[error("the saved machine has a network interface where there is no port: {0}")]
    NoPort(u8),
    #[error("talking to the forked machine failed")]
    Monitor(#[source] QmpError),
    #[error("cannot make the socket for the machine's state")]
    Channel(#[source] io::Error),
    #[error("the library `{}` had no effect in the VMM", .0.display())]
    NotRemapped(PathBuf),
    #[error(transparent)]
    Start(#[from] BootError),
    #[error("machines cannot be forked on this operating system")]
    Unsupported,
}
