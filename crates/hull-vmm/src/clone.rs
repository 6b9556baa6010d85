//! Machines that are copies of a machine that stands still.

use std::io;
use std::os::fd::OwnedFd;

use thiserror::Error;

use crate::qemu::qmp::QmpError;

/// A file that a machine has open, and the one that its clone has open instead. The second must
/// hold what the first does.
#[derive(Debug)]
pub struct Exchange {
    /// Any descriptor of the file.
    pub old: OwnedFd,
    /// Opened as the machine has the old one open.
    pub new: OwnedFd,
}

/// Why there is no clone of a machine.
#[derive(Debug, Error)]
pub enum CloneError {
    #[error("cannot make the clone's sockets")]
    Channel(#[source] io::Error),
    #[error("talking to the machine's process failed")]
    Connection(#[source] io::Error),
    #[error("the machine's process did not answer in time")]
    Silent,
    #[error("the machine's process {0} has been stopped by a signal")]
    Stopped(u32),
    #[error("the machine's process has open what a clone would share with it (epoll, io_uring)")]
    Descriptors,
    #[error("the machine's process cannot be cloned")]
    Refused(#[source] io::Error),
    #[error("talking to the clone failed")]
    Monitor(#[source] QmpError),
    #[error("a machine that boots or is virtualised by the CPU cannot be cloned")]
    Unsuited,
}
