//! Docker's default seccomp profile, and a compiler from OCI seccomp to classic BPF.
//!
//! The host compiles, the guest only loads: see `hull_protocol::Create::seccomp`.
#![deny(unsafe_code)]

mod action;
mod arch;
mod bpf;
mod compile;
mod default;
mod error;
mod profile;
mod table;

#[cfg(test)]
mod tests;

pub use arch::Arch;
pub use bpf::SockFilter;
pub use compile::{compile, to_bytes, unknown_names};
pub use default::docker_default;
pub use error::Error;
pub use profile::Profile;
