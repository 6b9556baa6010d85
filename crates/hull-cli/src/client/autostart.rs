//! Starts a daemon where none runs.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

use super::{ClientError, absent, connect};
use crate::context::Context;

/// What [`start`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Started {
    Already,
    Now,
}

/// Starts the daemon of `context.home` and returns when it answers. Of several commands that do
/// this at the same time, one starts it and the others wait for that one.
///
/// # Errors
/// The daemon could not be started, with what it said.
pub(crate) async fn start(context: &Context) -> Result<Started, ClientError> {
    let context = context.clone();
    // Locks and the daemon's first word block; nothing else goes on in this process yet.
    match tokio::task::spawn_blocking(move || start_blocking(&context)).await {
        Ok(result) => result,
        Err(error) => Err(failed(error)),
    }
}

fn start_blocking(context: &Context) -> Result<Started, ClientError> {
    make_home(context).map_err(|error| cannot_make(context, &error))?;
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(context.home.join("start.lock"))
        .map_err(|error| cannot_make(context, &error))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(failed)?;
    match connect(&context.socket) {
        Ok(_) => return Ok(Started::Already),
        Err(error) if absent(&error) => {}
        Err(error) => return Err(failed(error)),
    }
    spawn(context)?;
    Ok(Started::Now)
}

/// Runs `hull daemon --background`, which starts the daemon in a session of its own and ends. The
/// daemon writes one line to its standard output when it is ready, or why it cannot be.
fn spawn(context: &Context) -> Result<(), ClientError> {
    let log = open_log(context).map_err(|error| cannot_make(context, &error))?;
    let mut command = Command::new(&context.program);
    command
        .args(context.debug.then_some("-D"))
        .args(["daemon", "--background"])
        .env("HULL_HOME", &context.home)
        .env("HULL_LIB", &context.lib)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    let mut child = command.spawn().map_err(failed)?;
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut said).map_err(failed)?;
    }
    child.wait().map_err(failed)?;
    if said.trim_end() == READY {
        return Ok(());
    }
    let (message, hint) = match said.trim_end().split_once("\nhint: ") {
        Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
        None if said.is_empty() => {
            ("it ended without a word".to_owned(), Some(format!("see {}", context.log().display())))
        }
        None => (said.trim_end().to_owned(), None),
    };
    Err(ClientError::Start { message, hint })
}

/// Makes the state directory, for its owner only.
pub(crate) fn make_home(context: &Context) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(&context.home)
}

fn open_log(context: &Context) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(context.log())
}

fn failed(error: impl std::fmt::Display) -> ClientError {
    ClientError::Start { message: error.to_string(), hint: None }
}

fn cannot_make(context: &Context, error: &io::Error) -> ClientError {
    ClientError::Start {
        message: format!("{}: {error}", context.home.display()),
        hint: Some("set HULL_HOME to a directory that you may write to".into()),
    }
}

/// What a daemon says on its standard output when it answers requests.
pub(crate) const READY: &str = "ready";
