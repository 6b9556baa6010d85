//! What the engine counts and measures about itself, for monitoring.
//!
//! All of it begins with zero when the engine opens. No label has a value that a user chose: the
//! number of series is bounded.

mod exposition;
mod histogram;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hull_supervisor::Mode;

use self::exposition::{Exposition, Kind};
use self::histogram::Histogram;
use crate::{Engine, Error, Status, TemplateInfo, Timing};

/// What has been counted since the engine opened.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    recorded: Mutex<Recorded>,
}

#[derive(Clone, Debug, Default)]
struct Recorded {
    starts: BTreeMap<Mode, Histogram>,
    phases: BTreeMap<(Mode, &'static str), Histogram>,
    start_failures: BTreeMap<&'static str, u64>,
    execs: Histogram,
    exec_failures: u64,
    template_builds: Histogram,
    template_build_failures: u64,
    pool_claims: u64,
    pool_misses: u64,
    forks: u64,
}

impl Metrics {
    /// A container's program has been executed, `took` after the request.
    pub(crate) fn started(&self, mode: Mode, took: Duration, phases: &[Timing]) {
        let mut recorded = self.recorded();
        recorded.starts.entry(mode).or_default().observe(took);
        for timing in phases {
            let phase = recorded.phases.entry((mode, timing.phase)).or_default();
            phase.observe(Duration::from_micros(timing.duration_us));
        }
    }

    /// A start came to nothing.
    pub(crate) fn start_failed(&self, error: &Error) {
        *self.recorded().start_failures.entry(failure_kind(error)).or_default() += 1;
    }

    /// The program of an exec has been executed, `took` after the request.
    pub(crate) fn exec_started(&self, took: Duration) {
        self.recorded().execs.observe(took);
    }

    pub(crate) fn exec_failed(&self) {
        self.recorded().exec_failures += 1;
    }

    /// A template has been built, for whatever reason.
    pub(crate) fn template_built(&self, took: Duration) {
        self.recorded().template_builds.observe(took);
    }

    pub(crate) fn template_build_failed(&self) {
        self.recorded().template_build_failures += 1;
    }

    /// A start that could have had a machine of the pool got one, or not.
    pub(crate) fn pool_asked(&self, claimed: bool) {
        let mut recorded = self.recorded();
        if claimed {
            recorded.pool_claims += 1;
        } else {
            recorded.pool_misses += 1;
        }
    }

    /// A running container was forked into so many others.
    pub(crate) fn forked(&self, children: usize) {
        self.recorded().forks += children as u64;
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Writes all metrics in Prometheus' text format, version 0.0.4.
    pub async fn metrics(&self) -> String {
        // Monitoring goes on where a directory cannot be read: nothing is said about it then.
        let templates = self.templates().await.ok();
        let recorded = self.inner.metrics.recorded().clone();
        let pool = self.inner.pool.len();
        render(&recorded, &self.containers_by_state(), templates.as_deref(), pool)
    }

    fn containers_by_state(&self) -> [(Status, usize); Status::ALL.len()] {
        let mut counts = Status::ALL.map(|status| (status, 0));
        for container in self.inner.containers.all() {
            let status = container.shown_state(&container.live()).status;
            if let Some((_, count)) = counts.iter_mut().find(|(counted, _)| *counted == status) {
                *count += 1;
            }
        }
        counts
    }
}

fn render(
    recorded: &Recorded,
    containers: &[(Status, usize)],
    templates: Option<&[TemplateInfo]>,
    pool: usize,
) -> String {
    let mut page = Exposition::default();
    page.metric("hull_build_info", Kind::Gauge, "Version of Hull; always 1.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.metric("hull_containers", Kind::Gauge, "Containers by state.");
    for (status, count) in containers {
        page.sample(&[("state", status.as_str())], count);
    }

    let none = Histogram::default();
    page.metric(
        "hull_start_seconds",
        Kind::Histogram,
        "Time from the request to start a container until its program was executed, by where its \
         machine came from.",
    );
    for mode in MODES {
        let starts = recorded.starts.get(&mode).unwrap_or(&none);
        page.histogram(&[("mode", mode.as_str())], starts);
    }
    page.metric(
        "hull_start_phase_seconds",
        Kind::Histogram,
        "Time of each phase of a start, as `hull run --timings` shows them.",
    );
    for ((mode, phase), histogram) in &recorded.phases {
        page.histogram(&[("mode", mode.as_str()), ("phase", phase)], histogram);
    }
    page.metric(
        "hull_starts_total",
        Kind::Counter,
        "Containers whose program was executed, by where their machine came from.",
    );
    for mode in MODES {
        let starts = recorded.starts.get(&mode).map_or(0, Histogram::count);
        page.sample(&[("mode", mode.as_str())], starts);
    }
    page.metric("hull_start_failures_total", Kind::Counter, "Starts that failed, by kind.");
    for kind in FAILURE_KINDS {
        page.sample(&[("kind", kind)], recorded.start_failures.get(kind).unwrap_or(&0));
    }

    page.metric(
        "hull_exec_seconds",
        Kind::Histogram,
        "Time from the request to start an exec until its program was executed.",
    )
    .histogram(&[], &recorded.execs);
    page.metric("hull_exec_failures_total", Kind::Counter, "Execs that could not be started.")
        .sample(&[], recorded.exec_failures);

    page.metric("hull_template_build_seconds", Kind::Histogram, "Time of building a template.")
        .histogram(&[], &recorded.template_builds);
    page.metric("hull_templates_built_total", Kind::Counter, "Templates that were built.")
        .sample(&[], recorded.template_builds.count());
    page.metric(
        "hull_template_build_failures_total",
        Kind::Counter,
        "Templates that could not be built.",
    )
    .sample(&[], recorded.template_build_failures);
    if let Some(templates) = templates {
        let bytes: u64 = templates.iter().map(|template| template.size_bytes).sum();
        page.metric("hull_templates", Kind::Gauge, "Templates on disk.")
            .sample(&[], templates.len());
        page.metric("hull_template_bytes", Kind::Gauge, "Bytes that all templates take on disk.")
            .sample(&[], bytes);
    }

    page.metric("hull_pool_machines", Kind::Gauge, "Machines that wait for a container.")
        .sample(&[], pool);
    page.metric("hull_pool_claims_total", Kind::Counter, "Starts with a machine of the pool.")
        .sample(&[], recorded.pool_claims);
    page.metric(
        "hull_pool_misses_total",
        Kind::Counter,
        "Starts for which the pool had no machine that fits.",
    )
    .sample(&[], recorded.pool_misses);
    page.metric(
        "hull_forks_total",
        Kind::Counter,
        "Containers that were made by forking a running one.",
    )
    .sample(&[], recorded.forks);
    page.finish()
}

fn failure_kind(error: &Error) -> &'static str {
    match error.exit_code() {
        Some(126) => NOT_EXECUTABLE,
        Some(127) => NO_PROGRAM,
        Some(_) => MACHINE,
        None => ENGINE,
    }
}

const MODES: [Mode; 3] = [Mode::Cold, Mode::Fork, Mode::Pool];

/// The container's program is there and cannot be executed.
const NOT_EXECUTABLE: &str = "not_executable";
/// There is no such program.
const NO_PROGRAM: &str = "no_program";
/// The machine, or what is made in it before the program.
const MACHINE: &str = "machine";
/// What the engine does before there is a machine.
const ENGINE: &str = "engine";
const FAILURE_KINDS: [&str; 4] = [ENGINE, MACHINE, NO_PROGRAM, NOT_EXECUTABLE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered() {
        let metrics = Metrics::default();
        let phases = [Timing { phase: "machine: restore", begin_us: 7, duration_us: 12_000 }];
        metrics.started(Mode::Fork, Duration::from_millis(45), &phases);
        metrics.start_failed(&Error::Start {
            message: "no such program".into(),
            exit_code: 127,
            hint: None,
        });
        metrics.exec_started(Duration::from_millis(9));
        metrics.exec_failed();
        metrics.template_built(Duration::from_secs(1));
        metrics.template_build_failed();
        metrics.pool_asked(true);
        metrics.pool_asked(false);
        metrics.forked(20);
        let recorded = metrics.recorded().clone();
        let page = render(&recorded, &[(Status::Running, 3)], Some(&[]), 2);
        for line in [
            "hull_containers{state=\"running\"} 3",
            "hull_starts_total{mode=\"cold\"} 0",
            "hull_starts_total{mode=\"fork\"} 1",
            "hull_start_seconds_bucket{mode=\"fork\",le=\"0.05\"} 1",
            "hull_start_seconds_count{mode=\"pool\"} 0",
            "hull_start_phase_seconds_sum{mode=\"fork\",phase=\"machine: restore\"} 0.012",
            "hull_start_failures_total{kind=\"no_program\"} 1",
            "hull_start_failures_total{kind=\"machine\"} 0",
            "hull_exec_seconds_count 1",
            "hull_exec_failures_total 1",
            "hull_templates_built_total 1",
            "hull_template_build_failures_total 1",
            "hull_template_bytes 0",
            "hull_pool_machines 2",
            "hull_pool_claims_total 1",
            "hull_pool_misses_total 1",
            "hull_forks_total 20",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
    }

    #[test]
    fn every_sample_follows_its_type() {
        let page = render(&Recorded::default(), &[], None, 0);
        let mut known = Vec::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                known.push(rest.split(' ').next().unwrap().to_owned());
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let base = known.last().unwrap();
                let rest = name.strip_prefix(base.as_str()).unwrap();
                assert!(["", "_bucket", "_sum", "_count"].contains(&rest), "{line}");
            }
        }
        let total = known.len();
        known.sort();
        known.dedup();
        assert_eq!(known.len(), total, "a metric stands twice");
    }
}
