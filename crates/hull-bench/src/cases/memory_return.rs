//! How long it takes until the host has back the memory that a container freed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Case;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::hull::Hull;
use crate::interrupt::pause;
use crate::processes::{Processes, mebibytes};
use crate::report::{Figure, Report, Target, Unit};
use crate::sample::Sample;

pub(super) const CASE: Case =
    Case { name: "return", about: "600 MiB allocated and freed in a container", run };

/// One buffer of 600 MiB, filled and then freed.
const ALLOCATE: &str = "dd if=/dev/zero of=/dev/null bs=600M count=1";

/// Resident memory may stay this much larger, in bytes.
const SLACK: u64 = 64 << 20;

/// The allocation must be seen by the host for its return to mean something; in bytes.
const SEEN: u64 = 400 << 20;

const LIMIT: Duration = Duration::from_secs(30);

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let hull = bench.hull_without_pool(&bench.busybox(), report)?;
    hull.start()?;
    let others = Processes::of(hull.home());
    hull.idle("box")?;
    pause(Duration::from_secs(2))?;
    let machine = Processes::of(hull.home()).without(&others);
    let mut sample = Sample::new("until it is back");
    let mut left: f64 = 0.0;
    for _ in 0..bench.scaled(5, 1) {
        let before = machine.largest_resident_set_size()?;
        let peak = allocate(&hull, &machine)?;
        if peak < before + SEEN {
            let (before, peak) = (mebibytes(before), mebibytes(peak));
            let text = format!("600 MiB allocated, but the VMM grew from {before:.0} to {peak:.0}");
            return Err(Failure::Unexpected(text + " MiB"));
        }
        let (took, after) = wait_for_return(&machine, before + SLACK)?;
        sample.push(took);
        left = left.max(mebibytes(after.saturating_sub(before)));
        if took >= LIMIT {
            report.note(format!("{left:.0} MiB more than before after {} s", LIMIT.as_secs()));
            break;
        }
        pause(Duration::from_secs(1))?;
    }
    let seconds = sample.median() / 1000.0;
    report.samples.push(sample);
    let target = Target::at_most(10.0);
    report.figures.push(Figure::new("until it is back", seconds, Unit::Seconds, target));
    let target = Target::at_most(mebibytes(SLACK));
    report.figures.push(Figure::new("RSS left over, at most", left, Unit::Mebibytes, target));
    hull.remove("box")
}

/// Allocates and frees in the container; returns the most that its VMM had resident meanwhile.
fn allocate(hull: &Hull, machine: &Processes) -> Result<u64, Failure> {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !ended.load(Ordering::Relaxed) {
                peak = peak.max(machine.largest_resident_set_size()?);
                thread::sleep(Duration::from_millis(20));
            }
            Ok(peak)
        });
        let ran = hull.run(&["exec", "box", "sh", "-c", ALLOCATE]);
        ended.store(true, Ordering::Relaxed);
        let peak = watcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        ran?;
        peak
    })
}

/// Waits until the VMM has at most `most` bytes resident; returns how long that took, and how much
/// it has then.
fn wait_for_return(machine: &Processes, most: u64) -> Result<(Duration, u64), Failure> {
    let begin = Instant::now();
    loop {
        let resident = machine.largest_resident_set_size()?;
        let took = begin.elapsed();
        if resident <= most || took >= LIMIT {
            return Ok((took, resident));
        }
        pause(Duration::from_millis(20))?;
    }
}
