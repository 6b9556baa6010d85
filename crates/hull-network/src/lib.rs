//! Networks of containers.
//!
//! All of them live in one network namespace that Hull makes for itself (with a user namespace
//! where it is not root): nothing of the host is changed. Who does what:
//!
//! - the **service** ([`service`]) is a process per state directory, outside of the namespace: it
//!   has bridges, taps, names, published ports and the way out. It is started by whoever needs it
//!   first and ends some time after the last container with a network has gone.
//! - the **door** ([`namespace`]) is a process inside: it opens sockets there and passes them out.
//!   The service needs no more of it, because whoever owns a user namespace may do everything in
//!   it with a socket from there.
//! - a **member** ([`client`]) is a supervisor with a connection to the service, for as long as its
//!   container runs. With the connection goes everything that the container had in the service; if
//!   the service goes, its members start another one and tell it what the first one knew. Nothing
//!   of this is on the disk.
//!
//! What networks there are, and which addresses containers have, is the engine's: [`model`] and
//! [`ipam`] have no process and no side effects but files.
#![deny(unsafe_code)]

pub mod client;
#[cfg(target_os = "linux")]
mod dns;
#[cfg(target_os = "linux")]
mod egress;
mod holder;
pub mod ipam;
#[cfg(target_os = "linux")]
mod link;
pub mod model;
#[cfg(target_os = "linux")]
pub mod namespace;
#[cfg(target_os = "linux")]
mod pktinfo;
pub mod protocol;
pub mod proxy;
#[cfg(target_os = "linux")]
mod publish;
#[cfg(target_os = "linux")]
pub mod service;
#[cfg(target_os = "linux")]
mod task;
mod wire;

pub use hull_netlink::{Cidr, Mac};
#[cfg(target_os = "linux")]
pub use link::spare_tap;
