//! Latency of a start while many containers run.

use super::Case;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::hull::{Configuration, Hull};
use crate::processes::{Processes, available_memory, mebibytes};
use crate::report::{Report, Target};
use crate::sample::{Sample, Subject, interleave};

pub(super) const CASE: Case =
    Case { name: "running", about: "start beside 30 running containers", run };

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let many = bench.scaled(30, 3);
    let hull = bench.hull(Configuration::Default)?;
    hull.start()?;
    // Containers that run slow the whole machine, and so cannot take turns with none that run:
    // one half before and the other after them meets a drift of the machine instead.
    let mut none = starts(&hull, "none running", bench.rounds.div_ceil(2))?;
    let mut names: Vec<String> = (1..=many).map(|number| format!("box-{number}")).collect();
    let before = Processes::of(hull.home());
    hull.idle(&names[0])?;
    let one = Processes::of(hull.home()).without(&before).proportional_set_size()?;
    if let Some(available) = available_memory().filter(|available| one * many > available / 2) {
        let available = mebibytes(available);
        report.skip(format!("{many} running"), format!("the host has {available:.0} MiB"));
        return Ok(());
    }
    for name in &names[1..] {
        hull.idle(name)?;
    }
    let beside = starts(&hull, &format!("{many} running"), bench.rounds)?;
    let mut remove = vec!["rm".to_owned(), "-f".to_owned()];
    remove.append(&mut names);
    hull.run(&remove.iter().map(String::as_str).collect::<Vec<_>>())?;
    let after = starts(&hull, "none running", bench.rounds.div_ceil(2))?;
    none.milliseconds.extend(after.milliseconds);
    let (of, to) = (beside.name.clone(), none.name.clone());
    report.samples = vec![none, beside];
    report.ratio(&of, &to, Target::NONE);
    Ok(())
}

fn starts(hull: &Hull, name: &str, rounds: usize) -> Result<Sample, Failure> {
    let samples = interleave(rounds, vec![Subject::new(name, || hull.start())])?;
    // One subject, one sample.
    Ok(samples.into_iter().next().unwrap_or_default())
}
