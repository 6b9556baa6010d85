//! The Docker Engine API over the engine.
//!
//! [`serve`] answers HTTP on a unix socket that the caller has bound with [`bind`]. Requests may
//! begin with `/vX.YY`; versions from [`MIN_VERSION`] to [`VERSION`] are understood. What a client
//! asks for and Hull cannot do is an error that names the field: nothing is ignored silently.
//!
//! Hull's own additions to the API are few, and Docker's clients never meet them: `/metrics` and
//! `/hull/...` routes, the fields `Kernel`, `PublishSockets` and `SshAuthSock` in `HostConfig`, the
//! field `Hull` in a container's description, the parameter `timings` of `start`, and the field
//! `hint` in errors.
#![deny(unsafe_code)]
// The `json!` of large objects recurses once per field.
#![recursion_limit = "256"]

mod body;
mod connection;
mod error;
mod frame;
mod listener;
mod parameters;
mod routes;
mod server;
mod streams;
mod version;
mod wire;

pub use listener::{BindError, bind};
pub use server::{Server, serve};
pub use version::{MIN_VERSION, VERSION};
