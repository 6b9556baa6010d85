//! Latency of a start: from the pool, forked, cold, beside docker and bare runc.

use super::Case;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::hull::{Configuration, Hull};
use crate::report::{Report, Target};
use crate::sample::{Subject, interleave};
use crate::start_mode::StartMode;

pub(super) const CASE: Case =
    Case { name: "start", about: "run --rm --network none busybox true", run };

/// Which configuration should start containers in which way.
const WAYS: [(Configuration, StartMode); 3] = [
    (Configuration::Default, StartMode::Pool),
    (Configuration::NoPool, StartMode::Fork),
    (Configuration::NoTemplates, StartMode::Cold),
];

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let homes = homes(bench, report)?;
    let mut subjects = Vec::new();
    // The first and the last one follow themselves when the order turns: no pool must be one.
    if let Some(docker) = bench.docker(report) {
        subjects.push(Subject::new("docker", || docker.start()));
    }
    for (name, _, hull) in &homes {
        subjects.push(Subject::new(*name, || hull.start()));
    }
    if let Some(runc) = bench.runc(report) {
        subjects.push(Subject::new("runc", || runc.start()));
    }
    report.samples = interleave(bench.rounds, subjects)?;
    for (name, mode, hull) in &homes {
        let target = match mode {
            Some(StartMode::Fork) => Target::at_most(0.3).stretch(0.2),
            Some(StartMode::Pool) => Target::at_most(0.2).stretch(0.1),
            Some(StartMode::Cold) | None => Target::NONE,
        };
        report.ratio(name, "docker", target);
        report.ratio(name, "runc", Target::NONE);
        let even = if target == Target::NONE { target } else { Target::at_most(1.5) };
        report.spread(name, even);
        let still = hull.start_mode()?;
        if still != *mode {
            let still = still.map_or("no way that it tells", StartMode::as_str);
            report.note(format!("{name}: a start after the rounds was {still}"));
        }
    }
    Ok(())
}

/// A home, how it starts containers, and the name for that.
type Way = (&'static str, Option<StartMode>, Hull);

/// Makes one home for each way that this build has. What cannot be had is skipped: which way a
/// container started is asked, not assumed.
fn homes(bench: &Bench, report: &mut Report) -> Result<Vec<Way>, Failure> {
    let mut homes: Vec<Way> = Vec::new();
    for (configuration, wanted) in WAYS {
        let is_default = configuration == Configuration::Default;
        let hull = match bench.hull(configuration) {
            Ok(hull) => hull,
            Err(Failure::Interrupted) => return Err(Failure::Interrupted),
            Err(error) if is_default => return Err(error),
            Err(refused) => {
                report.skip(wanted.as_str(), format!("config.toml: {}", refused.reason()));
                continue;
            }
        };
        let found = hull.settle(wanted)?;
        if found != Some(wanted) {
            let reason = match found {
                Some(found) => {
                    format!(
                        "set up for {}, but containers start {}",
                        wanted.as_str(),
                        found.as_str()
                    )
                }
                None => "`inspect` of this build does not say how a container started".into(),
            };
            report.skip(wanted.as_str(), reason);
        }
        // The default way is measured whatever it is, unless another home has the same.
        let name = found.map_or("hull", StartMode::as_str);
        if found == Some(wanted) || is_default {
            homes.retain(|(other, ..)| *other != name);
            homes.push((name, found, hull));
        }
    }
    // What the default home turned out to be may have been skipped under its own configuration.
    let has = |what: &str| homes.iter().any(|(name, ..)| *name == what);
    report.skipped.retain(|skip| !has(&skip.what));
    Ok(homes)
}
