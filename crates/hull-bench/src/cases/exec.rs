//! Latency of `exec` in a running container, beside docker's.

use super::Case;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::hull::Configuration;
use crate::report::{Report, Target};
use crate::sample::{Subject, interleave};

pub(super) const CASE: Case = Case { name: "exec", about: "exec in an idle container", run };

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let hull = bench.hull(Configuration::Default)?;
    hull.idle("box")?;
    let docker = match bench.docker(report) {
        Some(docker) => Some(docker.idle("box")?),
        None => None,
    };
    let mut subjects = vec![Subject::new("hull", || Ok(hull.run(&["exec", "box", "true"])?.took))];
    if let Some(container) = &docker {
        subjects.push(Subject::new("docker", || container.exec()));
    }
    report.samples = interleave(bench.rounds, subjects)?;
    report.ratio("hull", "docker", Target::at_most(0.5));
    report.spread("hull", Target::NONE);
    hull.remove("box")
}
