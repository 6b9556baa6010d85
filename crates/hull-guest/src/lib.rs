//! The host's end of the guest channel: requests, events, byte streams.
//!
//! [`Guest::connect`] takes any byte stream to an agent. The guest is not trusted: whatever it
//! sends, this side's memory stays bounded, and what is no protocol closes the channel with a
//! [`Closed`] reason that every waiting call returns.
#![deny(unsafe_code)]

mod channel;
mod closed;
mod input;
mod output;
mod request;
pub mod seccomp;
mod shared;

pub use channel::{ConnectError, Events, Guest};
pub use closed::Closed;
pub use input::{InputError, InputStream};
pub use output::{Output, OutputStreams};
pub use request::{Pending, RequestError};
