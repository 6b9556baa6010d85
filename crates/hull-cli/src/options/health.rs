//! `--health-*`.

use hull_format::GoDuration;
use serde_json::{Value as Json, json};

use super::sparse::Sparse;
use crate::error::Failure;
use crate::flags::FlagSet;

/// How a container's health is checked.
#[derive(Debug, Default)]
pub(super) struct HealthOptions {
    command: String,
    interval: GoDuration,
    timeout: GoDuration,
    start_period: GoDuration,
    start_interval: GoDuration,
    retries: i64,
    none: bool,
}

impl HealthOptions {
    /// Adds the flags.
    #[rustfmt::skip]
    pub(super) fn register<'a>(&'a mut self, flags: &mut FlagSet<'a>) {
        flags.long(&mut self.command, "health-cmd", "Command to run to check health");
        flags.long(&mut self.interval, "health-interval", "Time between running the check (ms|s|m|h) (default 0s)");
        flags.long(&mut self.retries, "health-retries", "Consecutive failures needed to report unhealthy");
        flags.long(&mut self.start_interval, "health-start-interval", "Time between running the check during the start period (ms|s|m|h) (default 0s)");
        flags.long(&mut self.start_period, "health-start-period", "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)");
        flags.long(&mut self.timeout, "health-timeout", "Maximum time to allow one check to run (ms|s|m|h) (default 0s)");
        flags.long(&mut self.none, "no-healthcheck", "Disable any container-specified HEALTHCHECK");
    }

    /// Returns Docker's `HealthConfig`; null if nothing was asked for.
    pub(super) fn json(&self) -> Result<Json, Failure> {
        for (name, value) in [
            ("interval", self.interval.0),
            ("timeout", self.timeout.0),
            ("retries", self.retries),
            ("start-period", self.start_period.0),
            ("start-interval", self.start_interval.0),
        ] {
            if value < 0 && !self.none {
                return Err(Failure::new(format!("--health-{name} cannot be negative")));
            }
        }
        let mut check = Sparse::default();
        if !self.command.is_empty() {
            check.put("Test", json!(["CMD-SHELL", self.command]));
        }
        check.put("Interval", json!(self.interval.0));
        check.put("Timeout", json!(self.timeout.0));
        check.put("StartPeriod", json!(self.start_period.0));
        check.put("StartInterval", json!(self.start_interval.0));
        check.put("Retries", json!(self.retries));
        match (self.none, check.0.is_empty()) {
            (true, true) => Ok(json!({"Test": ["NONE"]})),
            (true, false) => {
                Err(Failure::new("--no-healthcheck conflicts with --health-* options"))
            }
            (false, true) => Ok(Json::Null),
            (false, false) => Ok(Json::Object(check.0)),
        }
    }
}
