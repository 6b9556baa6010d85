//! What a container is doing.

use hull_supervisor::state as supervisor;
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

    /// Docker's `Running`: true also while it waits to be started again by its restart policy.
    pub fn is_up(self) -> bool {
        self.is_running() || self == Self::Restarting
    }

    pub(crate) const ALL: [Self; 7] = [
        Self::Created,
        Self::Dead,
        Self::Exited,
        Self::Paused,
        Self::Removing,
        Self::Restarting,
        Self::Running,
    ];
}

/// State of a container, the fields of Docker's `State`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
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

impl State {
    /// Reads what a supervisor wrote. `previous` is what the one before it left: a run that never
    /// got to its program leaves the container as it was, but for exit code and error.
    pub(crate) fn from_supervisor(
        current: &supervisor::State,
        previous: Option<&supervisor::State>,
    ) -> Self {
        let ran = current.started_at.is_some();
        let (started_at, finished_at) = match previous {
            Some(previous) if !ran => (previous.started_at, previous.finished_at),
            _ if !ran => (None, None),
            _ => (current.started_at, current.finished_at),
        };
        let status = match current.status {
            supervisor::Status::Running => Status::Running,
            supervisor::Status::Paused => Status::Paused,
            supervisor::Status::Starting | supervisor::Status::Exited if started_at.is_some() => {
                Status::Exited
            }
            supervisor::Status::Starting | supervisor::Status::Exited => Status::Created,
        };
        let exit = current.exit.as_ref();
        Self {
            status,
            oom_killed: exit.is_some_and(|exit| exit.oom_killed),
            pid: match current.vmm_pid {
                Some(pid) if status.is_running() => pid.try_into().unwrap_or(0),
                _ => 0,
            },
            exit_code: exit.map_or(0, |exit| exit.code),
            error: exit.and_then(|exit| exit.error.clone()).unwrap_or_default(),
            started_at,
            finished_at,
        }
    }
}

/// One phase of a start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Timing {
    /// For example `engine: prepare`.
    pub phase: &'static str,
    /// Microseconds from the start request to the beginning of the phase.
    pub begin_us: u64,
    /// Microseconds that it took.
    pub duration_us: u64,
}

#[cfg(test)]
mod tests {
    use hull_supervisor::{Exit, Timings};

    use super::*;

    fn left(
        status: supervisor::Status,
        started: Option<i64>,
        exit: Option<i32>,
    ) -> supervisor::State {
        supervisor::State {
            status,
            supervisor_pid: 7,
            vmm_pid: Some(8),
            guest_pid: None,
            started_at: started.map(|second| Timestamp::from_second(second).unwrap()),
            finished_at: exit.map(|_| Timestamp::from_second(100).unwrap()),
            exit: exit.map(|code| Exit {
                code,
                error: (code == 127).then(|| "no such program".into()),
                ..Exit::default()
            }),
            accelerator: None,
            guest_kernel: None,
            start: None,
            ports: Vec::new(),
            timings: Timings::default(),
        }
    }

    #[test]
    fn a_failed_first_start_leaves_a_created_container() {
        let state =
            State::from_supervisor(&left(supervisor::Status::Exited, None, Some(127)), None);
        assert_eq!(state.status, Status::Created);
        assert_eq!((state.exit_code, state.pid), (127, 0));
        assert_eq!(state.error, "no such program");
        assert_eq!(state.finished_at, None);
    }

    #[test]
    fn a_failed_later_start_keeps_the_times_of_the_run_before() {
        let before = left(supervisor::Status::Exited, Some(50), Some(0));
        let state = State::from_supervisor(
            &left(supervisor::Status::Exited, None, Some(127)),
            Some(&before),
        );
        assert_eq!(state.status, Status::Exited);
        assert_eq!(state.exit_code, 127);
        assert_eq!(state.started_at, before.started_at);
    }

    #[test]
    fn a_running_container_has_the_pid_of_its_machine() {
        let state = State::from_supervisor(&left(supervisor::Status::Paused, Some(50), None), None);
        assert_eq!((state.status, state.pid), (Status::Paused, 8));
    }
}
