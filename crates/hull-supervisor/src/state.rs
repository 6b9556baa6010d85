//! What a supervisor knows about its container: `state.json`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use hull_network::protocol::Publish;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control::Exit;
use crate::paths;
use crate::wire::invalid;

/// State of a container as its supervisor last wrote it. If no supervisor holds the lock and
/// `status` is not [`Status::Exited`], the supervisor was killed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct State {
    pub status: Status,
    pub supervisor_pid: u32,
    /// Process of the VMM, from when it was started until it ended.
    #[serde(default)]
    pub vmm_pid: Option<u32>,
    /// Init process of the container in the guest's root namespace.
    #[serde(default)]
    pub guest_pid: Option<i32>,
    /// When the container's program was executed.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// How the container ended; `Some` exactly when `status` is [`Status::Exited`].
    #[serde(default)]
    pub exit: Option<Exit>,
    /// `kvm`, `hvf` or `tcg`.
    #[serde(default)]
    pub accelerator: Option<String>,
    /// `uname -r` and `uname -m` of the guest.
    #[serde(default)]
    pub guest_kernel: Option<String>,
    /// How this start came about; absent until that is known.
    #[serde(default)]
    pub start: Option<Origin>,
    /// Ports that are published, with those of the host that were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Publish>,
    #[serde(default)]
    pub timings: Timings,
}

/// How a container's machine came to be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Origin {
    pub mode: Mode,
    /// Why the machine was not forked from a template; `None` if it was.
    #[serde(default)]
    pub reason: Option<String>,
    /// Key of the template.
    #[serde(default)]
    pub template: Option<String>,
    /// What is not as it was when the container last ran, if it goes on.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Origin {
    /// Returns that of a machine that was booted because of `reason`.
    pub fn cold(reason: Option<String>) -> Self {
        Self { mode: Mode::Cold, reason, template: None, warnings: Vec::new() }
    }
}

/// Where a machine comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Its kernel was booted for this start.
    Cold,
    /// It was forked from a template for this start.
    Fork,
    /// It was forked ahead and waited in the pool.
    Pool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The machine boots, or the container waits for the daemon's start.
    Starting,
    Running,
    Paused,
    Exited,
}

/// When each phase was over: microseconds since the supervisor was entered. Absent: not reached.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Timings {
    /// Wall clock when the supervisor was entered.
    pub entered_at: Option<Timestamp>,
    /// The accelerator was chosen, kernel and agent were checked.
    pub planned: Option<u64>,
    /// The template was there and verified, or had been built.
    pub template_ready: Option<u64>,
    /// Microseconds that building the template took; absent if it was there.
    pub template_built: Option<u64>,
    /// The VMM process was started.
    pub vmm_spawned: Option<u64>,
    /// The machine had the template's memory and devices, and ran. Never reached by a cold boot.
    pub restored: Option<u64>,
    /// The agent said Hello.
    pub hello: Option<u64>,
    /// The guest's own clock when it said Hello: microseconds since its kernel started.
    pub guest_uptime: Option<u64>,
    /// Entropy, clock and host name were set.
    pub configured: Option<u64>,
    /// Root file system and namespaces were ready.
    pub created: Option<u64>,
    /// The container had joined its networks.
    pub network_joined: Option<u64>,
    /// Its interfaces were configured.
    pub network_configured: Option<u64>,
    /// The daemon asked to start.
    pub start_requested: Option<u64>,
    /// The program was executed.
    pub started: Option<u64>,
    /// The first byte of output arrived.
    pub first_output: Option<u64>,
    /// The program's end was reported and its output had been read.
    pub exited: Option<u64>,
    /// The machine had ended.
    pub machine_ended: Option<u64>,
}

impl Mode {
    /// `cold`, `fork` or `pool`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Fork => "fork",
            Self::Pool => "pool",
        }
    }
}

impl State {
    /// Reads the state of the container in `dir`; `None` if none was ever written.
    ///
    /// # Errors
    /// If the file cannot be read or is no state.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(dir.join(paths::STATE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(invalid),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the state of the container in `dir` atomically.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        // Several may note a supervisor's end at the same time: each writes a file of its own.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{}-{number}.new", paths::STATE, std::process::id());
        let temporary = dir.join(name);
        let json = serde_json::to_vec_pretty(self).map_err(invalid)?;
        let replaced = fs::write(&temporary, json)
            .and_then(|()| fs::rename(&temporary, dir.join(paths::STATE)));
        if replaced.is_err() {
            // A full disk keeps nothing of the attempt.
            let _ = fs::remove_file(&temporary);
        }
        replaced
    }

    /// Returns the state of a container whose own cannot be read and whose supervisor is gone.
    pub(crate) fn damaged(error: &io::Error, now: Timestamp) -> Self {
        Self {
            status: Status::Exited,
            supervisor_pid: 0,
            vmm_pid: None,
            guest_pid: None,
            started_at: None,
            finished_at: Some(now),
            exit: Some(Exit {
                error: Some(format!("{} is damaged: {error}", paths::STATE)),
                ..Exit::supervisor_died()
            }),
            accelerator: None,
            guest_kernel: None,
            start: None,
            ports: Vec::new(),
            timings: Timings::default(),
        }
    }

    /// Notes that the supervisor was killed and its container with it.
    pub(crate) fn record_killed(&mut self, now: Timestamp) {
        self.status = Status::Exited;
        self.vmm_pid = None;
        self.finished_at = Some(now);
        self.exit = Some(Exit::supervisor_died());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_at_the_same_time_leave_a_whole_state() {
        let dir = tempfile::tempdir().unwrap();
        let error = |length| io::Error::other("e".repeat(length));
        std::thread::scope(|scope| {
            for length in [1, 4000, 60_000] {
                let state = State::damaged(&error(length), Timestamp::now());
                let dir = dir.path();
                scope.spawn(move || {
                    for _ in 0..100 {
                        state.write(dir).unwrap();
                        State::read(dir).unwrap().unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
