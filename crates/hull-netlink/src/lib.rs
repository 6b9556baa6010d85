//! Netlink: messages, sockets, and what Hull does with rtnetlink and sock_diag.
//!
//! The same code configures bridges on the host and interfaces in guests, where every kilobyte and
//! every instruction counts: it knows the few messages that are needed and nothing else.
//!
//! Sources: netlink(7), rtnetlink(7), `linux/netlink.h`, `linux/if_link.h`.
#![deny(unsafe_code)]
#![cfg(target_os = "linux")]

#[macro_use]
mod json;

mod address;
mod link;
mod mac;
mod message;
mod route;
mod socket;
mod unix;

pub use address::Cidr;
pub use link::{Change, Link, LinkKind};
pub use mac::Mac;
pub use message::{Attributes, Message, flags};
pub use route::Route;
pub use socket::{Answer, Protocol, Socket, Watch, open};
pub use unix::{UnixSocket, bound_to_files};
