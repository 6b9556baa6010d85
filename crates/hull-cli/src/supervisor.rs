//! `hull supervisor DIR`: the process that owns one container. Started by the daemon only.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use crate::output;

/// Runs a supervisor whose control connection is standard input. What it has to say goes to
/// standard error, which the daemon has made a file.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(dir), None) = (arguments.next(), arguments.next()) else {
        output::error("usage: hull supervisor DIR (only the daemon calls this)");
        return ExitCode::from(125);
    };
    output::log_to_stderr(false);
    let control = match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(control) => control,
        Err(error) => {
            output::error(&format!("cannot take over the control connection: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match hull_supervisor::server::run(Path::new(&dir), control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&output::chain(&error));
            ExitCode::FAILURE
        }
    }
}
