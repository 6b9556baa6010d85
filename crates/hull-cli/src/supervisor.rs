//! `hull supervisor [--wait | --zygote DIR] DIR`: the process that owns one container, or waits for
//! one. Started by the daemon only.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use crate::output;

/// Runs a supervisor whose control connection is standard input. What it has to say goes to
/// standard error, which the daemon has made a file.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = [arguments.next(), arguments.next(), arguments.next(), arguments.next()];
    let (waits, zygote, dir) = match arguments {
        [Some(dir), None, ..] => (false, None, dir),
        [Some(flag), Some(dir), None, _] if flag == "--wait" => (true, None, dir),
        [Some(flag), zygote, Some(dir), None] if flag == "--zygote" => (false, zygote, dir),
        _ => {
            output::error(
                "usage: hull supervisor [--wait | --zygote DIR] DIR (only the daemon calls this)",
            );
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
        false => {
            hull_supervisor::server::run(Path::new(&dir), zygote.as_deref().map(Path::new), control)
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&output::chain(&error));
            ExitCode::FAILURE
        }
    }
}
