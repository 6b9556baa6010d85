//! `hull supervisor [--wait] DIR`: the process that owns one container, or waits for one. Started
//! by the daemon only.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use crate::output;

/// Runs a supervisor whose control connection is standard input. What it has to say goes to
/// standard error, which the daemon has made a file.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (waits, dir) = match [arguments.next(), arguments.next(), arguments.next()] {
        [Some(dir), None, _] => (false, dir),
        [Some(flag), Some(dir), None] if flag == "--wait" => (true, dir),
        _ => {
            output::error("usage: hull supervisor [--wait] DIR (only the daemon calls this)");
            return ExitCode::from(125);
        }
    };
    output::log_to_stderr(false);
    let control = match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(control) => control,
        Err(error) => {
            output::error(&format!("cannot take over the control connection: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = match waits {
        true => hull_supervisor::server::run_waiting(Path::new(&dir), control),
        false => hull_supervisor::server::run(Path::new(&dir), control),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&output::chain(&error));
            ExitCode::FAILURE
        }
    }
}
