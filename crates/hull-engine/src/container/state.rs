//! What a container is doing.

use jiff::Timestamp;

/// Docker's states of a container.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Status {
    #[default]
    Created,
    Dead,
    Exited,
    Paused,
    Removing,
    Restarting,
    Running,
}

impl Status {
    /// Docker's name of it, for example `exited`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Dead => "dead",
            Self::Exited => "exited",
            Self::Paused => "paused",
            Self::Removing => "removing",
            Self::Restarting => "restarting",
            Self::Running => "running",
        }
    }

    /// True while its program runs or is frozen.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Paused | Self::Running)
    }
}

/// State of a container, the fields of Docker's `State`.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub status: Status,
    pub oom_killed: bool,
    /// Process id, on the host, of what runs the container (its machine); 0 if it does not run.
    pub pid: i32,
    pub exit_code: i32,
    /// Why the last start failed or what ended it from outside; empty if all is well.
    pub error: String,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// One phase of a start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Timing {
    /// For example `boot kernel`.
    pub phase: String,
    /// Microseconds from the start request to the beginning of the phase.
    pub begin_us: u64,
    /// Microseconds that it took.
    pub duration_us: u64,
}
