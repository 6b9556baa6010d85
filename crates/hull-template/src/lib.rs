//! Templates of virtual machines, and where they are kept.
//!
//! A template is a machine that was booted once, stopped when its guest was ready, and saved: its
//! memory as a file that forks map copy-on-write, the state of its devices, and the writable disk
//! that its guest had mounted. Its [`Key`] is a digest of everything that it was made from.
//!
//! ```text
//! templates/<key>/{memory, state, scratch.ext4, rehearsal.erofs, boot.log, template.json, synced, used}
//! templates/<key>.new      being built, by whoever holds
//! templates/<key>.lock
//! ```
#![deny(unsafe_code)]

mod build;
pub mod image;
mod key;
mod manifest;
pub mod scratch;
pub mod sparse;
mod store;
mod template;

pub use build::{BuildError, Obtained, Recipe};
pub use key::{Key, NotAKey};
pub use store::{Details, Info, State, Templates};
pub use template::{Damage, Template};
