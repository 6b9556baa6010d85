//! `hull fork`: children of a running python process, their time and their memory.

use std::time::{Duration, Instant};

use hull_tests::{Image, Registry};

use super::Case;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::hull::{Configuration, Hull};
use crate::interrupt::pause;
use crate::processes::{Processes, mebibytes};
use crate::report::{Figure, Report, Target, Unit};
use crate::sample::{Sample, Subject, interleave};

pub(super) const CASE: Case =
    Case { name: "fork", about: "fork of a running container, a python process of 300 MiB", run };

/// No two pages alike and none of zeros: what could be left out or merged would not be memory.
const PROGRAM: &str = "\
import time
pages = bytearray(300 << 20)
for i in range(0, len(pages), 4096):
    pages[i:i + 8] = (i + 1).to_bytes(8, 'little')
print('ready', flush=True)
time.sleep(100000)
";

const PER_CHILD: Target = Target::at_most(150.0);

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    // Asked of a home without images: the python image is large.
    let probe = bench.hull(Configuration::Default)?;
    if let Err(error) = probe.run(&["fork", "--help"]) {
        return match error {
            Failure::Ended { .. } => {
                report.skip("hull fork", error.reason());
                Ok(())
            }
            other => Err(other),
        };
    }
    drop(probe);
    let registry = Registry::with_images(&[Image::Python]);
    let image = registry.name(&Image::Python);
    let hull = bench.hull_without_pool(&image, report)?;
    let name = ["--name", "source", "--stop-signal", "SIGKILL"];
    let mut arguments = vec!["run", "-d", "--network", "none"];
    arguments.extend(name.into_iter().chain([image.as_str(), "python3", "-c", PROGRAM]));
    hull.run(&arguments)?;
    wait_until_ready(&hull)?;

    let one = || {
        let took = children(&hull, 1)?;
        remove_children(&hull)?;
        Ok(took)
    };
    report.samples = interleave(bench.rounds.min(20), vec![Subject::new("fork, one child", one)])?;
    let median = report.samples[0].median();
    report.figures.push(Figure::new("fork, one child", median, Unit::Milliseconds, PER_CHILD));

    let count = bench.scaled(10, 2);
    let mut many = Sample::new(format!("fork -n {count}"));
    let mut memory = Vec::new();
    for _ in 0..bench.scaled(3, 1) {
        let before = Processes::of(hull.home()).proportional_set_size()?;
        many.push(children(&hull, count)?);
        pause(Duration::from_secs(2))?;
        let after = Processes::of(hull.home()).proportional_set_size()?;
        memory.push(mebibytes(after.saturating_sub(before)) / count as f64);
        remove_children(&hull)?;
    }
    let each = many.median() / count as f64;
    let name = format!("fork -n {count}, per child");
    report.figures.push(Figure::new(name, each, Unit::Milliseconds, PER_CHILD));
    report.samples.push(many);
    memory.sort_by(f64::total_cmp);
    let median = memory[memory.len() / 2];
    let target = Target::at_most(40.0);
    report.figures.push(Figure::new("PSS that a child adds", median, Unit::Mebibytes, target));
    hull.remove("source")
}

/// Forks the source and returns how long it took until all children ran.
fn children(hull: &Hull, count: usize) -> Result<Duration, Failure> {
    let ran = hull.run(&["fork", "-n", &count.to_string(), "--name", "child", "source"])?;
    let running = hull.run(&["ps", "-q"])?.stdout.lines().count();
    match running == count + 1 {
        true => Ok(ran.took),
        false => Err(Failure::Unexpected(format!(
            "`hull fork -n {count}` left {running} containers running instead of {}",
            count + 1
        ))),
    }
}

fn remove_children(hull: &Hull) -> Result<(), Failure> {
    let listed = hull.run(&["ps", "-a", "--format", "{{.Names}}"])?.stdout;
    let mut arguments = vec!["rm", "-f"];
    arguments.extend(listed.lines().filter(|name| *name != "source"));
    hull.run(&arguments).map(drop)
}

fn wait_until_ready(hull: &Hull) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while hull.run(&["logs", "source"])?.stdout != "ready" {
        if Instant::now() > deadline {
            return Err(Failure::Unexpected("python was not ready after 120 s".into()));
        }
        pause(Duration::from_millis(500))?;
    }
    // Its machine comes to rest.
    pause(Duration::from_secs(2))
}
