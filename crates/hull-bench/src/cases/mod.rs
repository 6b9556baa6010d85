//! The cases, in the order in which they run.

mod concurrency;
mod exec;
mod files;
mod fork;
mod idle;
mod memory_return;
mod network;
mod running;
mod start;
mod stopped;

use crate::bench::Bench;
use crate::failure::Failure;
use crate::report::Report;

/// One thing that is measured.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Measures and puts into the report what it found, also before it fails.
    pub(crate) run: fn(&Bench, &mut Report) -> Result<(), Failure>,
}

pub(crate) static CASES: &[Case] = &[
    start::CASE,
    exec::CASE,
    concurrency::CASE,
    idle::CASE,
    stopped::CASE,
    running::CASE,
    fork::CASE,
    files::CASE,
    memory_return::CASE,
    network::CASE,
];
