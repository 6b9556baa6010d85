//! The wire protocol between a supervisor and the agent in its guest.
//!
//! One ordered byte channel (virtio-serial today, vsock behind the same trait) carries [`Frame`]s:
//! JSON requests, responses and events, and raw byte streams that are multiplexed with a credit
//! window each, so that a reader that stops reading one stream never blocks another.
//!
//! The host speaks first with [`Hello`]; the guest answers with its own. Versions must be equal:
//! agent and host are always shipped together, and a mismatch means a stale template.
//!
//! This crate does no I/O: it is the part that both ends and the tests share.

pub mod frame;
pub mod message;
pub mod sockets;
pub mod trial;
pub mod window;

pub use frame::{Decoder, Frame, FrameError, Kind, MAX_PAYLOAD};
pub use message::*;
pub use sockets::*;
pub use trial::Trial;
pub use window::{INITIAL_WINDOW, RecvWindow, SendWindow};

/// Version of the frames and messages in this crate; both ends must have the same.
pub const VERSION: u32 = 9;

/// Name of the virtio-serial port that carries the channel, as seen in
/// `/sys/class/virtio-ports/*/name` in the guest.
pub const PORT_NAME: &str = "hull.rpc";

/// Name of the virtio-serial port that carries shared directories.
pub const SHARE_PORT_NAME: &str = "hull.fs";
