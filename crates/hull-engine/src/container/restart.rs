//! Restart policies: who is started again, when, and who is not.
//!
//! As moby's `restartmanager` and `daemon.handleContainerExit`. What must be known after the engine
//! has been killed is in `restart.json`.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hull_plan::{RestartMode, RestartPolicy};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::entry::Container;
use super::start::Occasion;
use super::state::Status;
use super::timings::Stopwatch;
use crate::durable::{self, Survives};
use crate::{Engine, layout};

/// What decides, beside the policy, whether a container is started again.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Restart {
    /// How often the policy has started it since a user did.
    pub(crate) count: u32,
    /// A user has stopped or killed it since its last start.
    pub(crate) stopped_by_user: bool,
    /// Its next end is final, whatever its policy says.
    #[serde(skip)]
    pub(crate) ends_next: bool,
    /// How long it waited the last time.
    #[serde(skip)]
    delay: Duration,
}

impl Restart {
    /// Reads what is known of the container in `dir`; nothing, if that cannot be read.
    pub(crate) fn read(dir: &Path) -> Self {
        let path = dir.join(layout::container::RESTART);
        let read = fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        read.unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                warn!(path = %path.display(), %error, "cannot read how often it was restarted");
            }
            Self::default()
        })
    }

    /// Returns how long to wait before the next start of a container that has ended now, after a
    /// run of `lasted`; `None` if there is none.
    fn after(
        &mut self,
        policy: RestartPolicy,
        exit_code: i32,
        lasted: Duration,
    ) -> Option<Duration> {
        if self.ends_next || !self.agrees(policy, exit_code) {
            return None;
        }
        self.delay = match self.delay * 2 {
            _ if lasted >= SETTLED => SHORTEST,
            Duration::ZERO => SHORTEST,
            delay => delay.min(LONGEST),
        };
        self.count += 1;
        Some(self.delay)
    }

    /// True if the policy asks for another start.
    fn agrees(&self, policy: RestartPolicy, exit_code: i32) -> bool {
        match policy.mode {
            RestartMode::No => false,
            RestartMode::Always => true,
            RestartMode::UnlessStopped => !self.stopped_by_user,
            RestartMode::OnFailure => {
                let most = policy.maximum_retry_count;
                exit_code != 0 && (most == 0 || self.count < most)
            }
        }
    }
}

impl Container {
    /// Forgets what restart policies have done: a user starts it.
    pub(crate) fn user_starts(&self) {
        self.change(|live| live.restart = Restart::default());
        self.keep_restart(Survives::Kill);
    }

    /// Takes a container that waits to be started again out of its wait; `false` if it does not
    /// wait.
    pub(crate) fn cancel_restart(&self) -> bool {
        self.change(|live| {
            let waits = live.state.status == Status::Restarting;
            if waits {
                live.state.status = Status::Exited;
            }
            waits
        })
    }

    /// Decides, at its end, whether it is started again: then returns when.
    pub(crate) fn comes_back(&self, exit_code: i32, lasted: Duration) -> Option<Duration> {
        let policy = self.record().config.host.restart_policy;
        let delay = self.change(|live| match live.removing {
            true => None,
            false => live.restart.after(policy, exit_code, lasted),
        });
        if delay.is_some() {
            self.keep_restart(Survives::Kill);
        }
        delay
    }

    /// Writes down what must be known after the engine has been killed.
    pub(crate) fn keep_restart(&self, survives: Survives) {
        let (policy, restart) = (self.record().config.host.restart_policy, self.live().restart);
        let path = self.dir.join(layout::container::RESTART);
        // Most containers have no policy and nothing to remember.
        if policy.is_none() && !path.exists() {
            return;
        }
        let written = serde_json::to_vec(&restart)
            .map_err(io::Error::from)
            .and_then(|json| durable::replace(&path, &json, survives));
        if let Err(error) = written {
            warn!(container = &self.id[..12], %error, "cannot record what its restart policy needs");
        }
    }
}

impl Engine {
    /// Notes that a container is about to be stopped; `for_good`: with the signal that is to end
    /// it.
    pub(crate) fn stopping(&self, container: &Container, for_good: bool) {
        let by_user = !self.is_shutting_down();
        container.change(|live| {
            live.restart.stopped_by_user |= by_user;
            live.restart.ends_next |= for_good;
        });
        if by_user {
            // Who has stopped it must not find it running after a power cut.
            container.keep_restart(Survives::PowerCut);
        }
    }

    /// Starts a container again after `delay`, unless somebody changes its mind.
    pub(crate) fn restart_later(&self, container: &Arc<Container>, delay: Duration) {
        let (engine, container) = (self.downgrade(), Arc::clone(container));
        tokio::spawn(async move {
            let mut watch = container.watch();
            let cancelled = watch.wait_for(|live| live.state.status != Status::Restarting);
            if tokio::time::timeout(delay, cancelled).await.is_ok() {
                return;
            }
            let Some(engine) = Self::upgrade(&engine) else { return };
            let started =
                engine.start_container(&container, Stopwatch::start(), Occasion::Policy).await;
            if let Err(error) = started {
                warn!(container = &container.id[..12], %error, "not started again");
            }
        });
    }

    /// Starts those of `ended` that ran once and whose policy wants them to run, one after the
    /// other: what the host can do at the same time is for its users.
    pub(crate) fn restart_ended(&self, ended: Vec<Arc<Container>>) {
        let wanted = |container: &Arc<Container>| {
            let (record, live) = (container.record(), container.live());
            container.damage.is_none()
                && live.state.started_at.is_some()
                && live.restart.agrees(record.config.host.restart_policy, live.state.exit_code)
        };
        let wanted: Vec<_> = ended.into_iter().filter(wanted).collect();
        let engine = self.downgrade();
        tokio::spawn(async move {
            for container in wanted {
                let Some(engine) = Self::upgrade(&engine) else { return };
                info!(container = &container.id[..12], "starting: its restart policy wants it");
                let started =
                    engine.start_container(&container, Stopwatch::start(), Occasion::Opened).await;
                if let Err(error) = started {
                    warn!(container = &container.id[..12], %error, "not started");
                }
            }
        });
    }
}

/// moby's `defaultTimeout`.
const SHORTEST: Duration = Duration::from_millis(100);
/// moby's `maxRestartTimeout`.
const LONGEST: Duration = Duration::from_secs(60);
/// A container that ran for so long begins anew with [`SHORTEST`].
const SETTLED: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: RestartMode, maximum_retry_count: u32) -> RestartPolicy {
        RestartPolicy { mode, maximum_retry_count }
    }

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_ten_seconds() {
        let mut restart = Restart::default();
        let always = policy(RestartMode::Always, 0);
        let delays: Vec<_> = (0..12)
            .map(|_| restart.after(always, 0, Duration::ZERO).unwrap().as_millis())
            .collect();
        assert_eq!(delays[..4], [100, 200, 400, 800]);
        assert_eq!(delays[9..], [51_200, 60_000, 60_000]);
        assert_eq!(restart.after(always, 0, SETTLED), Some(SHORTEST));
        assert_eq!(restart.count, 13);
    }

    #[test]
    fn policies_decide() {
        let after = |restart: Restart, policy, code| {
            let mut restart = restart;
            restart.after(policy, code, Duration::ZERO).is_some()
        };
        let fresh = Restart::default();
        let failing = policy(RestartMode::OnFailure, 2);
        assert!(!after(fresh, policy(RestartMode::No, 0), 1));
        assert!(after(fresh, failing, 1));
        assert!(!after(fresh, failing, 0));
        assert!(!after(Restart { count: 2, ..fresh }, failing, 1));
        assert!(after(Restart { count: 9, ..fresh }, policy(RestartMode::OnFailure, 0), 1));
        let stopped = Restart { stopped_by_user: true, ..fresh };
        assert!(!after(stopped, policy(RestartMode::UnlessStopped, 0), 1));
        // An engine that opens asks the policy only.
        assert!(stopped.agrees(policy(RestartMode::Always, 0), 0));
        let ending = Restart { ends_next: true, ..stopped };
        assert!(!after(ending, policy(RestartMode::Always, 0), 0));
    }
}
