//! Messages between a daemon and a supervisor.
//!
//! One connection per operation, [`hull_protocol::Frame`]s both ways. The client sends one
//! `Request` frame with an [`Operation`]; the supervisor answers with one `Response` frame with an
//! [`Answer`]; operations with streams then exchange `Data` and `Eof` frames, whose `stream` is
//! the file descriptor's number as the process has it, and end with an `Event` frame with an
//! [`Exit`], if the process ended. Back-pressure is the socket's.
//!
//! The connection that a supervisor inherits (see [`crate::client::spawn`]) is special: the
//! supervisor sends [`Notice`]s on it, and the daemon's only operation is [`Operation::Start`].

use crate::health::Health;
use std::collections::BTreeMap;
use std::path::PathBuf;

use hull_protocol::{DefaultRoutes, Edit, ErrorCode, Part, Process, RpcError, Stat, Statistics};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::launch::InterfaceLaunch;
use crate::state::{State, Timings};

/// What a daemon asks for. Where no answer is named it is [`Answered::Done`].
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Gives a machine that waits its container, whose directory is `dir`; only on the inherited
    /// connection. What follows is as if the supervisor had just been started for it.
    Claim {
        dir: PathBuf,
    },
    /// Executes the container's program; only on the inherited connection. Answers `State`.
    Start,
    /// Answers `State`.
    Status,
    /// Connects to the standard streams of the container's init process; then streams.
    Attach(Attach),
    /// Runs one more process. Answers `Started`, then streams.
    Exec(Box<Exec>),
    /// Sends a signal to the init process or to an exec.
    Signal {
        #[serde(default)]
        exec: Option<String>,
        signal: i32,
        /// To every process of the container.
        #[serde(default)]
        all: bool,
    },
    /// Sets the size of a terminal, in character cells.
    Resize {
        #[serde(default)]
        exec: Option<String>,
        rows: u16,
        columns: u16,
    },
    /// Waits until the container has ended and its machine is gone. Answers `Exit`.
    Wait,
    /// Connects the container to one more network.
    Connect(Box<InterfaceLaunch>),
    /// Takes the container off the network with an identifier, where it has an interface.
    Disconnect {
        network: String,
        interface: String,
    },
    /// Changes what the container knows of its networks, and what it is called in them.
    Settle(Box<Settle>),
    Pause,
    Resume,
    /// Answers `Health` once that is not what had the number `seen`, 0 for none.
    Health {
        seen: u64,
    },
    /// Answers `Statistics`.
    Statistics,
    /// Answers `Processes`.
    Processes,
    /// Changes limits: an OCI `linux.resources` object.
    Update {
        resources: Box<RawValue>,
    },
    /// Answers `Stat`.
    Stat {
        path: String,
    },
    /// Answers `Done` at once or an error. The client then sends a tar archive as stream 0, and has
    /// another answer when it has been extracted.
    CopyIn(CopyIn),
    /// Answers `Done` at once or an error, sends the part as stream 1, then an `Event` frame
    /// with an [`Answer`] that tells whether it is whole.
    CopyOut {
        part: Part,
    },
    /// Freezes the container for a moment and makes a copy of its machine, which stands still and
    /// is cloned by supervisors that start [from](crate::Launch::from) `dir`. `dir` exists and is
    /// empty. The copy is there until the client closes the connection.
    Fork {
        dir: PathBuf,
    },
    /// Writes the container as it is at this moment to `dir`, an empty directory, and syncs it. The
    /// container then ends, unless `leave_running` is set or it fails.
    Checkpoint {
        dir: PathBuf,
        leave_running: bool,
    },
    /// Writes all dirty data of the guest's file systems to their disks.
    Sync,
    /// Sends the stop signal, waits, kills; answers `Exit` when the container has ended.
    Stop(Stop),
    /// Ends the virtual machine at once, whatever its guest does. Answers `Exit`.
    Destroy,
}

/// What a container knows of its networks; see [`hull_protocol::Request::Settle`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Settle {
    /// By identifiers of networks: what others find the container by.
    pub names: BTreeMap<String, Vec<String>>,
    pub routes: Vec<DefaultRoutes>,
    pub edits: Vec<Edit>,
}

/// Where and how an archive is extracted; see [`hull_protocol::Request::CopyIn`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CopyIn {
    /// Directory.
    pub path: String,
    #[serde(default)]
    pub no_overwrite_dir_non_dir: bool,
    #[serde(default)]
    pub owner: Option<String>,
}

/// Which streams an attached client wants.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attach {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// One more process in the container.
#[derive(Debug, Deserialize, Serialize)]
pub struct Exec {
    /// Name of the process, unique in the container.
    pub exec: String,
    /// OCI `process` object; `terminal` and `consoleSize` in it say whether it has a terminal.
    pub process: Box<RawValue>,
    /// As in [`hull_protocol::Create::user`].
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub tty: bool,
    /// Runs without the container's seccomp profile (`--privileged`).
    #[serde(default)]
    pub privileged: bool,
    pub attach: Attach,
}

/// How to stop; `None` takes what [`crate::launch::StopLaunch`] says.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stop {
    #[serde(default)]
    pub signal: Option<i32>,
    /// Seconds before SIGKILL; negative means for ever.
    #[serde(default)]
    pub timeout: Option<i64>,
}

/// Answer to an operation.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Ok(Answered),
    Error(Failure),
}

/// What a successful operation answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    Done,
    Exit(Exit),
    Health(Box<Health>),
    Processes(Vec<Process>),
    Started { pid: i32 },
    Stat(Stat),
    State(Box<State>),
    Statistics(Box<Statistics>),
}

/// What a supervisor says unasked on the inherited connection, in this order.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "made once and sent at once")]
pub enum Notice {
    /// A machine waits for its container.
    Waiting,
    /// A machine waits to be cloned, for any number of containers.
    Zygote,
    /// The socket listens; clients may attach.
    Listening,
    /// The container waits for [`Operation::Start`].
    Created(Timings),
    /// Instead of `Created`: the container cannot be started. `state.json` says so too.
    Failed(Failure),
}

/// How a process ended.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Exit {
    /// Exit code as Docker shows it: 128 + n for signal n, 137 if the machine died.
    pub code: i32,
    /// Signal that ended it.
    #[serde(default)]
    pub signal: Option<i32>,
    /// The memory limit killed a process of the container.
    #[serde(default)]
    pub oom_killed: bool,
    /// Why it could not be started, or what killed it, if not the process itself.
    #[serde(default)]
    pub error: Option<String>,
}

impl Exit {
    /// Returns the exit of a container whose supervisor was killed.
    pub fn supervisor_died() -> Self {
        Self {
            code: 137,
            signal: Some(9),
            oom_killed: false,
            error: Some("supervisor died".to_owned()),
        }
    }
}

/// Standard stream of a process.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Channel {
    Stdout,
    Stderr,
}

impl Channel {
    /// Returns the stream's number in frames.
    pub fn number(self) -> u32 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }

    /// Returns the stream with that number in frames.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Stdout),
            2 => Some(Self::Stderr),
            _ => None,
        }
    }

    /// Returns `stdout` or `stderr`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Why an operation failed, in words for the user.
#[derive(Clone, Debug, Deserialize, Eq, Error, PartialEq, Serialize)]
#[error("{message}")]
pub struct Failure {
    pub code: FailureCode,
    pub message: String,
    /// What the user can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The machine could not be started or its guest never answered.
    Boot,
    /// Something failed in the guest or in the supervisor.
    Failed,
    /// The request is malformed or does not fit the container's state.
    Invalid,
    /// The container cannot be connected to its networks, or its ports not published.
    Network,
    /// The program does not exist (exit code 127).
    NoProgram,
    /// The program exists but may not be executed (exit code 126).
    NotExecutable,
    /// No such process or path.
    NotFound,
    /// The container has not been started or has ended.
    NotRunning,
    /// The guest agent cannot do that.
    Unsupported,
}

impl Failure {
    /// Returns a failure without a hint.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Returns the exit code that Docker gives a container or command that failed to start so.
    pub fn exit_code(&self) -> i32 {
        match self.code {
            FailureCode::NoProgram => 127,
            FailureCode::NotExecutable => 126,
            _ => 128,
        }
    }
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        let code = match error.code {
            ErrorCode::Invalid => FailureCode::Invalid,
            ErrorCode::NotFound => FailureCode::NotFound,
            ErrorCode::NotExecutable => FailureCode::NotExecutable,
            ErrorCode::NoProgram => FailureCode::NoProgram,
            ErrorCode::Failed => FailureCode::Failed,
            ErrorCode::Unsupported => FailureCode::Unsupported,
        };
        Self::new(code, error.message)
    }
}
