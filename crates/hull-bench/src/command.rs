//! Runs a command and takes its time.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::Failure;
use crate::interrupt::{self, SLICE};

/// One command may take this long: a hang must not last for ever.
const LIMIT: Duration = Duration::from_secs(300);

/// A command that succeeded.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// From before the process was made until it had ended.
    pub(crate) took: Duration,
    /// Without trailing white space.
    pub(crate) stdout: String,
}

/// Runs `command` without input.
///
/// The harness of the tests looks every 5 ms whether a command has ended, which is too coarse here:
/// a thread waits for it. Output goes to files, so that nothing has to be read meanwhile.
///
/// # Errors
/// It could not be run, ended with another code than 0, took too long, or a signal came.
pub(crate) fn timed(command: &mut Command) -> Result<Ran, Failure> {
    run(command, interrupt::check)
}

/// Runs `command` as [`timed`] does, to its end even if a signal comes: it cleans up.
pub(crate) fn insist(command: &mut Command) -> Result<Ran, Failure> {
    run(command, || Ok(()))
}

fn run(command: &mut Command, check: fn() -> Result<(), Failure>) -> Result<Ran, Failure> {
    check()?;
    let name = describe(command);
    let failed = |source| Failure::Spawn { command: name.clone(), source };
    let (mut stdout, mut stderr) = tempfile::tempfile()
        .and_then(|stdout| Ok((stdout, tempfile::tempfile()?)))
        .map_err(failed)?;
    command.stdin(Stdio::null());
    command.stdout(stdout.try_clone().map_err(failed)?);
    command.stderr(stderr.try_clone().map_err(failed)?);
    // An interrupt at the terminal is ours: we end the command in our own time.
    command.process_group(0);
    let begin = Instant::now();
    let mut child = command.spawn().map_err(failed)?;
    let pid = child.id();
    let (sender, ended) = channel();
    thread::spawn(move || {
        let status = child.wait();
        // Nobody listens any more if it had to be killed.
        let _ = sender.send((status, begin.elapsed()));
    });
    let (status, took) = wait(&ended, pid, &name, check)?;
    let status = status.map_err(failed)?;
    if status.success() {
        return Ok(Ran { took, stdout: read(&mut stdout).trim_end().to_owned() });
    }
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    let errors = read(&mut stderr).trim_end().to_owned();
    Err(Failure::Ended { command: name, code, errors })
}

type End = (std::io::Result<ExitStatus>, Duration);

fn wait(
    ended: &Receiver<End>,
    pid: u32,
    name: &str,
    check: fn() -> Result<(), Failure>,
) -> Result<End, Failure> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let failure = match ended.recv_timeout(SLICE) {
            Ok(end) => return Ok(end),
            Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                Failure::TimeLimit { command: name.to_owned(), limit: LIMIT }
            }
            Err(RecvTimeoutError::Timeout) => match check() {
                Ok(()) => continue,
                Err(interrupted) => interrupted,
            },
            Err(RecvTimeoutError::Disconnected) => {
                Failure::Unexpected(format!("the thread that waits for `{name}` is gone"))
            }
        };
        end(ended, pid);
        return Err(failure);
    }
}

/// Asks the process to end, and kills it if it has not after two seconds.
fn end(ended: &Receiver<End>, pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    for signal in [Signal::TERM, Signal::KILL] {
        if ended.try_recv().is_ok() {
            return;
        }
        let _ = kill_process(pid, signal);
        if ended.recv_timeout(Duration::from_secs(2)).is_ok() {
            return;
        }
    }
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // What a command wrote is for a message: part of it is better than another error.
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn describe(command: &Command) -> String {
    let program = command.get_program();
    let program = std::path::Path::new(program).file_name().unwrap_or(program);
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_time_are_kept() {
        let ran = timed(Command::new("sh").args(["-c", "sleep 0.2; echo out; echo err >&2"]));
        let ran = ran.expect("it succeeds");
        assert_eq!(ran.stdout, "out");
        assert!(ran.took >= Duration::from_millis(200), "{:?}", ran.took);
    }

    #[test]
    fn failures_say_what_and_why() {
        let error = timed(Command::new("sh").args(["-c", "echo no >&2; exit 3"]));
        let error = error.expect_err("it fails");
        assert_eq!(error.to_string(), "`sh -c echo no >&2; exit 3` ended with 3: no");
        assert_eq!(error.reason(), "no");
        let error = timed(Command::new("sh").args(["-c", "kill -9 $$"])).expect_err("it is killed");
        assert!(error.to_string().contains("ended with 137"), "{error}");
        let error = timed(&mut Command::new("/nonexistent/program")).expect_err("no such program");
        assert!(matches!(error, Failure::Spawn { .. }), "{error}");
    }
}
