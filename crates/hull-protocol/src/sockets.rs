//! Unix sockets between host and guest.

use serde::{Deserialize, Serialize};

use crate::StreamId;

/// Name of a directory, in the root of every shared one, that is there for the agent alone. In it, a
/// socket file that the guest knows has its number as its name; what is made under that number with a
/// `+` before it is that file, too: so a socket can be bound to a file that exists.
pub const SOCKETS_DIRECTORY: &str = ".hull-sockets";

/// Who may connect to a socket.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Access {
    pub uid: u32,
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// The two directions of a connection. The end of one is the end of that direction; each has a
/// window of its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Duplex {
    /// To the guest.
    pub input: StreamId,
    /// From the guest.
    pub output: StreamId,
}

/// The file of a unix socket in a shared directory.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SocketFile {
    pub container: String,
    /// Number of the directory among those that are served.
    pub share: u32,
    /// Number that the guest was given for the file.
    pub node: u64,
}

/// What a process of the guest does with a socket.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketState {
    /// There is none at that file, or none any more.
    Absent,
    /// It is bound to the file and no more.
    Bound,
    Listening,
    /// It is for messages, not for streams.
    Messages,
}
