//! Start latency of Hull beside docker and runc, interleaved in one run.
//!
//! ```text
//! make bench [BENCH="--rounds N --json FILE"]
//! ```
//!
//! Every round runs each case once, so that noise of the machine meets all of them alike; what
//! counts is the ratio in the last column.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod runc;
mod sample;

use std::process::ExitCode;

use hull_tests::{Docker, Home, Image, Registry};

use crate::runc::Runc;
use crate::sample::{Sample, table};

fn main() -> ExitCode {
    let mut rounds = 15;
    let mut json = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--rounds", Some(value)) => match value.parse() {
                Ok(value) => rounds = value,
                Err(_) => return usage(),
            },
            ("--json", Some(value)) => json = Some(value),
            _ => return usage(),
        }
    }
    let samples = measure(rounds);
    print!("{}", table(&samples));
    if let Some(path) = json {
        let document = serde_json::json!({ "rounds": rounds, "cases": samples
            .iter()
            .map(|sample| (sample.name.clone(), sample.milliseconds.clone()))
            .collect::<std::collections::BTreeMap<_, _>>() });
        if let Err(error) = std::fs::write(&path, format!("{document:#}\n")) {
            eprintln!("error: cannot write {path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: hull-bench [--rounds N] [--json FILE]");
    ExitCode::from(2)
}

fn measure(rounds: usize) -> Vec<Sample> {
    let registry = Registry::with_images(&[Image::Busybox]);
    let image = registry.name(&Image::Busybox);
    let home = Home::with_images(&registry, &[Image::Busybox]);
    let docker = Docker::start()
        .inspect(|docker| docker.pull(&registry, &[Image::Busybox]))
        .inspect_err(|reason| println!("docker is left out: {reason}"))
        .ok();
    let runc = Runc::new().inspect_err(|reason| println!("runc is left out: {reason}")).ok();

    let start = ["run", "--rm", "--network", "none", &image, "true"];
    let sleep = ["run", "-d", "--name", "box", "--network", "none", &image, "sleep", "10000"];
    let exec = ["exec", "box", "true"];
    let mut hull_start = Sample::new("hull run --rm true");
    let mut docker_start = Sample::new("docker run --rm true");
    let mut runc_start = Sample::new("runc run true");
    let mut hull_exec = Sample::new("hull exec true");
    let mut docker_exec = Sample::new("docker exec true");

    home.hull(&start).success();
    home.hull(&sleep).success();
    if let Some(docker) = &docker {
        docker.docker(&sleep).success();
    }
    for _ in 0..rounds {
        hull_start.time(|| home.hull(&start).success());
        if let Some(docker) = &docker {
            docker_start.time(|| docker.docker(&start).success());
        }
        if let Some(runc) = &runc {
            runc_start.time(|| runc.run().success());
        }
        hull_exec.time(|| home.hull(&exec).success());
        if let Some(docker) = &docker {
            docker_exec.time(|| docker.docker(&exec).success());
        }
    }
    println!("memory of an idle container: {} MiB PSS", idle_memory(&home) >> 20);
    home.hull(&["rm", "-f", "box"]).success();
    if let Some(docker) = &docker {
        docker.docker(&["rm", "-f", "box"]).success();
    }
    hull_start.compare(&docker_start);
    hull_start.compare(&runc_start);
    hull_exec.compare(&docker_exec);
    vec![hull_start, docker_start, runc_start, hull_exec, docker_exec]
}

/// Returns the proportional set size, in bytes, of the supervisor and the VMM of the one container
/// that runs.
fn idle_memory(home: &Home) -> u64 {
    let processes = home.processes();
    let own = processes.iter().filter(|(_, line)| !line.contains("hull daemon"));
    own.map(|(pid, _)| {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) << 10
    })
    .sum()
}
