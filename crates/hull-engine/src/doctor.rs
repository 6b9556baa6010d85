//! Checks of the host: what is missing and how to get it.

use crate::Engine;

/// Outcome of one check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// What was looked at, for example `QEMU`.
    pub name: &'static str,
    pub outcome: Outcome,
    /// What was found, for example `qemu-system-x86_64 10.0.2`.
    pub found: String,
    /// How to repair or improve it.
    pub hint: Option<String>,
}

/// How good what a check found is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    Good,
    /// Containers run, but something is slower or less than it could be.
    Warning,
    /// Containers cannot run.
    Bad,
}

impl Engine {
    /// Checks whether this host can run containers.
    pub async fn doctor(&self) -> Vec<Check> {
        Vec::new()
    }
}
