//! One process per container: it owns the container's virtual machine, guest channel, standard
//! streams, log and exit code, and outlives the daemon that started it.
//!
//! [`Launch`] says what to run and is written to the container's directory before the supervisor
//! starts; [`State`] is what the supervisor writes there. [`server::run`] is the process itself,
//! [`client`] is how a daemon starts one and talks to it.
#![deny(unsafe_code)]

pub mod client;
pub mod control;
#[allow(unsafe_code)]
mod descriptors;
pub mod health;
pub mod launch;
pub mod paths;
pub mod server;
pub mod shape;
pub mod state;
mod wire;

pub use client::{Client, Control};
pub use control::{Channel, Exit, Failure, FailureCode};
pub use launch::Launch;
pub use state::{Mode, Origin, State, Status, Timings};
