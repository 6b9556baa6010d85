//! Docker's default seccomp profile, and a compiler from OCI seccomp to classic BPF.
//!
//! The host compiles, the guest only loads: see `hull_protocol::Create::seccomp`.
#![deny(unsafe_code)]

mod arch;
mod compile;
mod default;
mod error;

pub use arch::Arch;
pub use compile::{SockFilter, compile, to_bytes};
pub use default::docker_default;
pub use error::Error;
