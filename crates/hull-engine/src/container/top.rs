//! Processes and resource use of a running container.

use hull_protocol::{Process, Statistics};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::kill::failed;
use crate::{Engine, Result};

/// A process table, as `ps` prints it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Top {
    pub titles: Vec<String>,
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// Lists the processes of a container, with the columns of `ps -ef`.
    ///
    /// # Errors
    /// No such container, or it does not run.
    pub async fn top(&self, container: &str) -> Result<Top> {
        let container = self.inner.containers.find(container)?;
        let task = self.running_task(&container)?;
        let processes = task.processes().await;
        let processes = processes.map_err(|error| failed(&container, error, "cannot list"))?;
        self.tell(&container, "top", &[]);
        let now = Timestamp::now();
        Ok(Top {
            titles: TITLES.iter().map(|title| (*title).to_owned()).collect(),
            processes: processes.iter().map(|process| row(process, now)).collect(),
        })
    }

    /// Measures the resource use of a container; `None` if it does not run.
    ///
    /// # Errors
    /// No such container.
    pub async fn statistics(&self, container: &str) -> Result<Option<Statistics>> {
        let container = self.inner.containers.find(container)?;
        let Ok(task) = self.running_task(&container) else {
            return Ok(None);
        };
        match task.statistics().await {
            Ok(statistics) => Ok(Some(statistics)),
            Err(error) => match failed(&container, error, "cannot measure container") {
                crate::Error::NotRunning(_) => Ok(None),
                error => Err(error),
            },
        }
    }
}

fn row(process: &Process, now: Timestamp) -> Vec<String> {
    let started = i64::try_from(process.started)
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok())
        .unwrap_or(now);
    let age = now.duration_since(started);
    let local = started.to_zoned(TimeZone::system());
    let shown = if age < SignedDuration::from_hours(24) {
        local.strftime("%H:%M")
    } else {
        local.strftime("%b%d")
    };
    let seconds = process.cpu_ms / 1000;
    let share = match u64::try_from(age.as_millis()) {
        Ok(age) if age > 0 => process.cpu_ms.saturating_mul(100) / age,
        _ => 0,
    };
    vec![
        match process.uid {
            0 => "root".to_owned(),
            uid => uid.to_string(),
        },
        process.pid.to_string(),
        process.parent.to_string(),
        share.min(99).to_string(),
        shown.to_string(),
        process.tty.clone(),
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        process.command.clone(),
    ]
}

const TITLES: &[&str] = &["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
