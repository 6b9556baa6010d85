//! What idle containers cost: memory of one and of many, and processor time of many.

use std::time::{Duration, Instant};

use super::Case;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::hull::Configuration;
use crate::interrupt::pause;
use crate::processes::{Processes, available_memory, mebibytes};
use crate::report::{Figure, Report, Target, Unit};
use crate::start_mode::StartMode;

pub(super) const CASE: Case =
    Case { name: "idle", about: "memory and processor time of idle containers", run };

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let many = bench.scaled(30, 3);
    let settle = Duration::from_secs(bench.scaled(5, 1));
    let window = Duration::from_secs(bench.scaled(20, 3));
    let hull = bench.hull(Configuration::Default)?;
    // The first start of a shape leaves a template behind, and may leave its maker for a while.
    hull.settle(StartMode::Pool)?;
    pause(settle)?;
    // The daemon, and the machine that is cloned: what containers add to the memory of these is
    // theirs, whoever else has the same pages.
    let before = Processes::of(hull.home()).proportional_set_size()?;

    hull.idle("box-1")?;
    pause(settle)?;
    let one = Processes::of(hull.home()).proportional_set_size()?.saturating_sub(before);
    let name = "PSS of one container, alone";
    report.figures.push(Figure::new(name, mebibytes(one), Unit::Mebibytes, Target::NONE));

    if let Some(available) = available_memory().filter(|available| one * many > available / 2) {
        let available = mebibytes(available);
        report.skip(format!("{many} containers"), format!("the host has {available:.0} MiB"));
        return Ok(());
    }
    for number in 2..=many {
        hull.idle(&format!("box-{number}"))?;
    }
    pause(settle)?;
    let all = Processes::of(hull.home());
    let each = all.proportional_set_size()?.saturating_sub(before) / many;
    let name = format!("PSS of one container of {many}");
    let target = bench.scaled_target(Target::at_most(24.0).stretch(15.0));
    report.figures.push(Figure::new(name, mebibytes(each), Unit::Mebibytes, target));

    // With the daemon's: what the containers make it do is theirs.
    let (used, begin) = (all.processor_time()?, Instant::now());
    pause(window)?;
    let used = all.processor_time()?.saturating_sub(used);
    let percent = used.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0;
    let name = format!("CPU of {many} containers");
    let target = bench.scaled_target(Target::at_most(15.0));
    report.figures.push(Figure::new(name, percent, Unit::Percent, target));
    Ok(())
}
