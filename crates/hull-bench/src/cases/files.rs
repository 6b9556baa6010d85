//! Files in a bind mount, a volume and the root file system; and what the first two cost a start.

use std::time::Duration;

use hull_tests::{Image, Registry};

use super::Case;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::hull::{Configuration, Hull};
use crate::interrupt::pause;
use crate::report::{Figure, Report, Target, Unit};
use crate::sample::{Sample, Subject, interleave};

pub(super) const CASE: Case =
    Case { name: "files", about: "files in a bind mount, a volume and the root file system", run };

const PROGRAM: &str = include_str!("files.py");

/// Where in the container.
const PLACES: [(&str, &str); 3] = [("bind", "/bind"), ("volume", "/volume"), ("root", "/root")];

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let dir = tempfile::tempdir().map_err(Failure::file("make", "a directory to share"))?;
    let bind = format!("{}:/bind", dir.path().display());
    let mounts = ["-v", bind.as_str(), "-v", "volume:/volume"];
    starts(bench, &mounts, report)?;

    let registry = Registry::with_images(&[Image::Python]);
    let image = registry.name(&Image::Python);
    let hull = Hull::new(Configuration::Default, &image)?;
    let mut arguments = vec!["run", "-d", "--name", "box", "--network", "none"];
    arguments.extend(mounts);
    arguments.extend(["--stop-signal", "SIGKILL", image.as_str(), "sleep", "100000"]);
    hull.run(&arguments)?;
    let mut samples: Vec<Sample> = Vec::new();
    // The first round executes everything for the first time.
    for round in 0..=bench.rounds.min(bench.scaled(5, 1)) {
        for (place, path) in PLACES {
            let printed = hull.run(&["exec", "box", "python3", "-c", PROGRAM, path])?.stdout;
            if round > 0 {
                take(&printed, place, &mut samples)?;
            }
        }
        pause(Duration::from_millis(200))?;
    }
    for place in ["bind", "volume"] {
        let name = format!("300 small files made, {place}");
        if let Some(sample) = samples.iter().find(|sample| sample.name == name) {
            let seconds = sample.median() / 1000.0;
            let target = Target::at_most(1.5);
            report.figures.push(Figure::new(name, seconds, Unit::Seconds, target));
        }
    }
    report.samples.extend(samples);
    hull.remove("box")
}

/// Takes the times of starts without and with mounts.
fn starts(bench: &Bench, mounts: &[&str], report: &mut Report) -> Result<(), Failure> {
    let hull = bench.hull(Configuration::Default)?;
    let image = bench.busybox();
    let start = |mounts: &[&str]| {
        let mut arguments = vec!["run", "--rm", "--network", "none"];
        arguments.extend(mounts);
        arguments.extend([image.as_str(), "true"]);
        Ok(hull.run(&arguments)?.took)
    };
    start(&[])?;
    start(mounts)?;
    let subjects = vec![
        Subject::new("start", || start(&[])),
        Subject::new("start with a bind mount and a volume", || start(mounts)),
    ];
    report.samples = interleave(bench.rounds, subjects)?;
    report.ratio("start with a bind mount and a volume", "start", Target::at_most(1.2));
    Ok(())
}

/// Adds what the program printed to the samples.
fn take(printed: &str, place: &str, samples: &mut Vec<Sample>) -> Result<(), Failure> {
    for line in printed.lines() {
        let parsed = line
            .split_once('\t')
            .and_then(|(name, time)| Some((format!("{name}, {place}"), time.parse().ok()?)));
        let Some((name, time)) = parsed else {
            return Err(Failure::Unexpected(format!("the program printed {line:?}")));
        };
        match samples.iter_mut().find(|sample| sample.name == name) {
            Some(sample) => sample.milliseconds.push(time),
            None => samples.push(Sample { name, milliseconds: vec![time] }),
        }
    }
    Ok(())
}
