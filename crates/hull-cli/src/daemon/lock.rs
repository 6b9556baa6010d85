//! One daemon per state directory.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::client::connect;
use crate::context::Context;
use crate::error::Failure;

/// The lock on a state directory, held by a daemon for its life.
#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "held, not used")] File);

impl Lock {
    /// Takes the lock. A daemon that is ending is waited for; `None` if another one serves.
    pub(super) fn take(context: &Context) -> Result<Option<Self>, Failure> {
        let file = open(context)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self(file))),
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => {
                    return Err(Failure::new(format!("cannot lock daemon.lock: {error}")));
                }
            }
            if connect(&context.home.join("hull.sock")).is_ok() {
                return Ok(None);
            }
            if Instant::now() > deadline {
                return Err(Failure::with_hint(
                    format!("another daemon holds {} but does not answer", path(context).display()),
                    "see daemon.pid in that directory for its process",
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Writes the process id of the lock's holder where users look for it.
    pub(super) fn write_pid(&self, context: &Context) -> Result<(), Failure> {
        let staged = context.home.join("daemon.pid.new");
        let mut file = File::create(&staged)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(std::fs::rename(&staged, context.home.join("daemon.pid"))?)
    }

    /// Waits until no daemon holds the lock.
    pub(crate) fn wait_until_free(context: &Context) -> Result<(), Failure> {
        let file = open(context)?;
        flock(&file, FlockOperation::LockShared)
            .map_err(|error| Failure::new(format!("cannot wait for daemon.lock: {error}")))
    }
}

fn open(context: &Context) -> Result<File, Failure> {
    let path = path(context);
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| Failure::new(format!("cannot open {}: {error}", path.display())))
}

fn path(context: &Context) -> std::path::PathBuf {
    context.home.join("daemon.lock")
}

/// Longer than a daemon takes to end.
const PATIENCE: Duration = Duration::from_secs(30);
