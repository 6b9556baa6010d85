//! Latency of a start in a home that has many stopped containers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::Case;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::hull::{Configuration, Hull};
use crate::report::{Report, Target};
use crate::sample::{Subject, interleave};

pub(super) const CASE: Case =
    Case { name: "stopped", about: "start beside 0, 200 and 1,000 stopped containers", run };

/// With starts that take longer than this, containers are only created: 1,000 starts would take
/// most of an hour.
const PATIENCE: Duration = Duration::from_millis(400);

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let mut homes = Vec::new();
    for count in bench.scaled([0, 200, 1000], [0, 5, 20]) {
        // Homes side by side take turns: each has a daemon with so many containers.
        let hull = bench.hull(Configuration::Default)?;
        hull.start()?;
        let ran = hull.start()? < PATIENCE;
        fill(&hull, &bench.busybox(), count, ran)?;
        if count > 0 && !ran {
            report.note(format!("{count} containers were created, not run: starts are too slow"));
        }
        homes.push((format!("{count} stopped"), hull));
    }
    let subjects = homes.iter().map(|(name, hull)| Subject::new(name, || hull.start())).collect();
    report.samples = interleave(bench.rounds, subjects)?;
    if let Some(((none, _), others)) = homes.split_first() {
        for (name, _) in others {
            report.ratio(name, none, bench.scaled_target(Target::at_most(1.15)));
        }
    }
    Ok(())
}

/// Makes stopped containers, two at a time.
fn fill(hull: &Hull, image: &str, count: usize, run: bool) -> Result<(), Failure> {
    let verb = if run { "run" } else { "create" };
    let made = AtomicUsize::new(0);
    let work = || {
        while made.fetch_add(1, Ordering::Relaxed) < count {
            hull.run(&[verb, "--network", "none", image, "true"])
                .inspect_err(|_| made.store(count, Ordering::Relaxed))?;
        }
        Ok::<_, Failure>(())
    };
    thread::scope(|scope| {
        let other = scope.spawn(work);
        let own = work();
        other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        own
    })?;
    let listed = hull.run(&["ps", "-aq"])?.stdout.lines().count();
    match listed == count {
        true => Ok(()),
        false => Err(Failure::Unexpected(format!("`ps -a` lists {listed} of {count} containers"))),
    }
}
