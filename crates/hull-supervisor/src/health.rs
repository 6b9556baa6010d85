//! What checks of a container's health have found: `health.json`.

use std::path::Path;
use std::{fs, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::paths;
use crate::wire::invalid;

/// Health of a container, Docker's `Health`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Health {
    pub status: HealthStatus,
    /// Failures since it was healthy last.
    pub failing_streak: u32,
    /// The last five checks, the oldest first.
    pub log: Vec<Check>,
    /// Grows with every change; never 0 once the container has started.
    #[serde(default)]
    pub serial: u64,
}

/// One check that was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Check {
    pub start: Timestamp,
    pub end: Timestamp,
    /// -1: it could not be made, or took too long.
    pub exit_code: i32,
    /// What it wrote, or why it failed; at most 4096 bytes of it.
    pub output: String,
}

/// What checks say.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

impl HealthStatus {
    /// Docker's name of it, for example `healthy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl Health {
    /// Reads the health of the container in `dir`; `None` if it was never checked.
    ///
    /// # Errors
    /// The file cannot be read, or is none of these.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(dir.join(paths::HEALTH)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(invalid),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the health of the container in `dir`. Only its supervisor does that.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        let temporary = dir.join(format!("{}.new", paths::HEALTH));
        fs::write(&temporary, serde_json::to_vec(self).map_err(invalid)?)?;
        fs::rename(temporary, dir.join(paths::HEALTH))
    }

    /// Takes a check into account, as moby's `handleProbeResult`. A failure is `forgiven` if it was
    /// begun in the time that a container has to start.
    pub(crate) fn take(&mut self, check: Check, retries: u32, forgiven: bool) {
        if check.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if !(forgiven && self.status == HealthStatus::Starting) {
            self.failing_streak += 1;
            if self.failing_streak >= retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self.log.push(check);
        let surplus = self.log.len().saturating_sub(KEPT);
        self.log.drain(..surplus);
        self.serial += 1;
    }
}

/// moby's `maxLogEntries`.
const KEPT: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(exit_code: i32) -> Check {
        let now = Timestamp::now();
        Check { start: now, end: now, exit_code, output: String::new() }
    }

    #[test]
    fn failures_count_when_they_are_not_forgiven() {
        let mut health = Health::default();
        let mut after = |code, forgiven| {
            health.take(check(code), 2, forgiven);
            (health.status, health.failing_streak)
        };
        assert_eq!(after(1, true), (HealthStatus::Starting, 0));
        assert_eq!(after(1, false), (HealthStatus::Starting, 1));
        assert_eq!(after(-1, false), (HealthStatus::Unhealthy, 2));
        assert_eq!(after(0, false), (HealthStatus::Healthy, 0));
        // Only a container that was never healthy is forgiven.
        assert_eq!(after(1, true), (HealthStatus::Healthy, 1));
        for code in 10..15 {
            after(code, false);
        }
        let codes: Vec<_> = health.log.iter().map(|check| check.exit_code).collect();
        assert_eq!(codes, [10, 11, 12, 13, 14]);
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Health::read(dir.path()).unwrap(), None);
        let mut health = Health::default();
        health.take(check(3), 1, false);
        health.write(dir.path()).unwrap();
        assert_eq!(Health::read(dir.path()).unwrap(), Some(health));
    }
}
