//! Wall time of many starts, several at once, beside docker's.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Case;
use crate::bench::Bench;
use crate::command::timed;
use crate::failure::Failure;
use crate::hull::Configuration;
use crate::interrupt::pause;
use crate::report::{Report, Target};
use crate::sample::Sample;
use crate::start_mode::StartMode;

pub(super) const CASE: Case =
    Case { name: "concurrency", about: "100 starts, 1, 4 and 16 at once", run };

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let starts = bench.scaled(100, 8);
    let hull = bench.hull(Configuration::Default)?;
    hull.settle(StartMode::Pool)?;
    let docker = bench.docker(report);
    for at_once in [1, 4, 16] {
        let (ours, theirs) =
            (format!("hull, {at_once} at once"), format!("docker, {at_once} at once"));
        let (mut hull_sample, mut docker_sample) = (Sample::new(&ours), Sample::new(&theirs));
        // A batch is a sample of many starts already.
        for _ in 0..bench.rounds.div_ceil(30) {
            hull_sample.push(batch(starts, at_once, || hull.start_command())?);
            pause(Duration::from_secs(1))?;
            if let Some(docker) = docker {
                docker_sample.push(batch(starts, at_once, || docker.start_command())?);
                pause(Duration::from_secs(1))?;
            }
        }
        report.samples.push(hull_sample);
        if docker.is_some() {
            report.samples.push(docker_sample);
        }
        let target = if at_once == 4 { Target::at_most(0.5) } else { Target::NONE };
        report.ratio(&ours, &theirs, bench.scaled_target(target));
    }
    report.note(format!("times are those of {starts} starts together"));
    Ok(())
}

/// Runs `count` commands, `at_once` at a time, and returns how long all of them took.
fn batch(
    count: usize,
    at_once: usize,
    command: impl Fn() -> Command + Sync,
) -> Result<Duration, Failure> {
    let started = AtomicUsize::new(0);
    let work = || {
        while started.fetch_add(1, Ordering::Relaxed) < count {
            // Of several that fail, the others only end earlier.
            timed(&mut command()).inspect_err(|_| started.store(count, Ordering::Relaxed))?;
        }
        Ok(())
    };
    let begin = Instant::now();
    let outcomes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once.min(count)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let took = begin.elapsed();
    for outcome in outcomes {
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_runs_all_and_stops_at_an_error() {
        let made = AtomicUsize::new(0);
        let command = |program: &str| {
            made.fetch_add(1, Ordering::Relaxed);
            Command::new(program)
        };
        batch(7, 3, || command("true")).expect("true succeeds");
        assert_eq!(made.swap(0, Ordering::Relaxed), 7);
        batch(100, 2, || command("false")).expect_err("false fails");
        assert!(made.load(Ordering::Relaxed) <= 2);
    }
}
