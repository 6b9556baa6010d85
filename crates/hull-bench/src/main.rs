//! Hull measured beside docker and runc, interleaved in one run, against its targets.
//!
//! ```text
//! make bench [BENCH="--only start,exec --rounds N --json FILE --compare FILE --quick"]
//! ```
//!
//! Every round runs each subject of a case once, so that noise of the machine meets all of them
//! alike; what counts is the ratio of their medians. Each case is a file in `cases`.

#![deny(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod cases;
mod command;
mod compare;
mod document;
mod failure;
mod hull;
mod interrupt;
mod options;
mod processes;
mod report;
mod runc;
mod sample;
mod start_mode;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::bench::Bench;
use crate::cases::Case;
use crate::compare::compare;
use crate::document::{Document, Target};
use crate::failure::{Failure, chain};
use crate::options::{Asked, Options, USAGE};
use crate::report::Report;
use crate::table::table;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Asked::Measure(options)) => options,
        Ok(Asked::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match measure(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure::Interrupted) => {
            eprintln!("interrupted: nothing is left running, no file was written");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Runs the cases and writes what they found; false if a case failed.
fn measure(options: &Options) -> Result<bool, Failure> {
    // A file that cannot be read or written is said before minutes of measuring, not after.
    let earlier = options.compare.as_deref().map(Document::read).transpose()?;
    let target = options.json.as_deref().map(Target::new).transpose()?;
    interrupt::watch().map_err(Failure::file("watch for signals in", "this process"))?;
    let mut document = Document::new(options);
    let bench = Bench::new(options);
    for case in &options.cases {
        eprintln!("{}: {}", case.name, case.about);
        let report = run(case, &bench)?;
        println!("{}", table(&report));
        document.cases.push(report);
    }
    // The servers end before the result is written: what fails here fails the run.
    drop(bench);
    if let Some(target) = target {
        target.write(&document)?;
    }
    if let Some(earlier) = earlier {
        print!("{}", compare(&earlier, &document));
    }
    Ok(document.cases.iter().all(|case| case.failed.is_none()))
}

/// Runs one case. Its failure is part of its report, and the next case runs all the same.
fn run(case: &Case, bench: &Bench) -> Result<Report, Failure> {
    let mut report = Report::new(case.name);
    // The harness of the tests panics where a test should fail.
    let outcome = catch_unwind(AssertUnwindSafe(|| (case.run)(bench, &mut report)));
    interrupt::check()?;
    report.failed = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(Failure::Interrupted)) => return Err(Failure::Interrupted),
        Ok(Err(error)) => Some(chain(&error)),
        Err(_) => Some("the harness panicked, see above".into()),
    };
    Ok(report)
}
