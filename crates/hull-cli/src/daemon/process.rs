//! The daemon as a process: away from the terminal that started it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::client::READY;
use crate::context::Context;
use crate::error::Failure;

/// Starts the daemon in a new session and returns: the process that called this ends now, so that
/// the daemon is nobody's child and can never get a terminal.
pub(crate) fn background(context: &Context) -> Result<(), Failure> {
    // Fails only for the leader of a process group, who has a session of its own already.
    let _ = rustix::process::setsid();
    Command::new(&context.program)
        .args(context.debug.then_some("-D"))
        .args(["daemon", "--announce"])
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| Failure::new(format!("cannot start the daemon: {error}")))?;
    Ok(())
}

/// Tells the process that started this one that requests are answered now, and lets go of the pipe
/// to it.
pub(super) fn ready() -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{READY}")?;
    stdout.flush()?;
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)
        .map_err(|error| Failure::new(format!("cannot close standard output: {error}")))
}
