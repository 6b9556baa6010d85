//! Network interfaces of machines.

use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clone::CloneError;
use crate::qemu::qmp::QmpError;

/// A network interface that is plugged into a machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Nic {
    /// Unique among those of its machine: letters and digits.
    pub id: String,
    /// Hardware address, for example `02:42:ac:11:00:02`.
    pub mac: String,
}

/// Where a machine has a network interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NicPlace {
    /// Number of its spare port.
    pub port: u8,
    /// As in [`Nic::id`].
    pub id: String,
}

/// Why a network interface cannot be plugged or unplugged.
#[derive(Debug, Error)]
pub enum NicError {
    #[error("cannot exchange the other end of a network interface")]
    Exchange(#[source] CloneError),
    #[error("the other end of this network interface cannot be exchanged")]
    Fixed,
    #[error("the machine has room for {0} network interfaces and no more")]
    Full(u8),
    #[error("the machine has no network interface `{0}`")]
    Missing(String),
    #[error("the machine has not been restored yet")]
    NotResumed,
    #[error("cannot plug a network interface")]
    Plug(#[source] QmpError),
    #[error("the guest did not let go of the network interface")]
    Stuck,
    #[error("cannot set up the tap of a network interface")]
    Tap(#[source] io::Error),
    #[error("cannot unplug a network interface")]
    Unplug(#[source] QmpError),
}
