//! Health: the supervisor checks, the engine shows and tells.

use std::sync::Arc;

use hull_plan::Healthcheck;
use hull_supervisor::health::{Check, Health, HealthStatus};
use hull_supervisor::launch::HealthLaunch;

use super::entry::Container;
use super::exec;
use super::record::Record;
use super::state::Status;
use crate::isolation::Task;
use crate::{Engine, Result, random};

/// Says how a container is to be checked; `None` if it is not.
pub(crate) fn launch(record: &Record) -> Result<Option<HealthLaunch>> {
    let Some((check, command)) = check(record) else {
        return Ok(None);
    };
    let or = |value: i64, default: u64| match u64::try_from(value) {
        Ok(value) if value > 0 => value,
        _ => default,
    };
    let (process, user) = exec::process_of_check(record, command)?;
    Ok(Some(HealthLaunch {
        process,
        user: Some(user),
        privileged: record.config.host.privileged,
        interval: or(check.interval, INTERVAL),
        timeout: or(check.timeout, INTERVAL),
        start_period: or(check.start_period, 0),
        start_interval: or(check.start_interval, START_INTERVAL),
        retries: or(check.retries, RETRIES).try_into().unwrap_or(u32::MAX),
    }))
}

/// Returns the health check of a container and its command line.
fn check(record: &Record) -> Option<(&Healthcheck, Vec<String>)> {
    let check = record.config.healthcheck.as_ref()?;
    Some((check, check.command()?))
}

impl Engine {
    /// Follows what the checks of a running container find, in the background.
    pub(crate) fn follow_health(&self, container: &Arc<Container>, task: Arc<dyn Task>) {
        if check(&container.record()).is_none() {
            return;
        }
        let (engine, container) = (self.downgrade(), Arc::clone(container));
        tokio::spawn(async move {
            let mut seen = 0;
            while let Ok(health) = task.health(seen).await {
                let Some(engine) = Self::upgrade(&engine) else { return };
                seen = health.serial;
                engine.take_health(&container, health);
            }
        });
    }

    fn take_health(&self, container: &Container, health: Health) {
        let status = health.status;
        // What a daemon before this one has seen, it has told.
        let seen = container.live().health.map(|before| before.log.last().map(|it| it.start));
        let is_new =
            |check: &Check| seen.is_some_and(|seen| seen.is_none_or(|seen| check.start > seen));
        let new: Vec<Check> = health.log.iter().filter(|check| is_new(check)).cloned().collect();
        new.iter().for_each(|check| self.tell_check(container, check));
        let told = container.change(|live| {
            let before = live.health.replace(health);
            // Checks that end with their container say nothing.
            live.state.status == Status::Running
                && !new.is_empty()
                && before.is_some_and(|before| before.status != status)
        });
        if told {
            self.tell(container, format!("health_status: {}", status.as_str()), &[]);
        }
    }
}

impl Engine {
    /// Tells of a check what docker tells of the process that it is.
    fn tell_check(&self, container: &Container, made: &Check) {
        let Some((_, command)) = check(&container.record()) else { return };
        let Ok(id) = random::id() else { return };
        let command = command.join(" ");
        let id = ("execID", id);
        self.tell(container, format!("exec_create: {command}"), std::slice::from_ref(&id));
        self.tell(container, format!("exec_start: {command}"), std::slice::from_ref(&id));
        let code = u8::try_from(made.exit_code).unwrap_or(KILLED);
        self.tell(container, "exec_die", &[id, ("exitCode", code.to_string())]);
    }
}

impl Container {
    /// Notes that the container has been started, and nothing is known of its health.
    pub(crate) fn begin_health(&self) {
        let has_check = check(&self.record()).is_some();
        self.change(|live| {
            live.health = has_check.then(|| {
                let log = live.health.take().map(|health| health.log).unwrap_or_default();
                Health { log, ..Health::default() }
            });
        });
    }

    /// Notes that nobody checks any more, as moby's `CloseMonitorChannel`.
    pub(crate) fn end_health(&self) {
        self.change(|live| {
            if let Some(health) = &mut live.health {
                health.status = HealthStatus::Unhealthy;
            }
        });
    }
}

/// Exit code of a check that took too long.
const KILLED: u8 = 137;
/// Nanoseconds; moby's `defaultProbeInterval` and `defaultProbeTimeout`.
const INTERVAL: u64 = 30_000_000_000;
/// Nanoseconds; moby's `defaultStartInterval`.
const START_INTERVAL: u64 = 5_000_000_000;
/// moby's `defaultProbeRetries`.
const RETRIES: u64 = 3;
