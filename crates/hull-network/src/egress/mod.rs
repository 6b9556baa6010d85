//! The way out of the namespace: a program that carries what leaves it over ordinary sockets of the
//! host.
#![allow(unsafe_code)]

mod pasta;
mod rules;
mod slirp;

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::AbortHandle;

use crate::namespace::Namespace;

pub(crate) use rules::apply as apply_rules;

/// A carrier that is kept running until this is dropped.
#[derive(Debug)]
pub(crate) struct Carrier(AbortHandle);

impl Carrier {
    /// Starts a carrier for `namespace`.
    pub(crate) fn start(namespace: &Rc<RefCell<Namespace>>) -> Self {
        Self(tokio::task::spawn_local(keep(Rc::clone(namespace))).abort_handle())
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        // The process is killed with the task.
        self.0.abort();
    }
}

/// A program that can carry, in the order of preference.
struct Program {
    name: &'static str,
    command: fn(&Path, &[PathBuf; 2]) -> Command,
}

const PROGRAMS: [Program; 2] = [
    Program { name: "pasta", command: pasta::command },
    Program { name: "slirp4netns", command: slirp::command },
];

/// Runs the carrier, again and again. One that does not start (a host without a network) is tried
/// less often.
async fn keep(namespace: Rc<RefCell<Namespace>>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let mut found = PROGRAMS.iter().filter_map(|program| Some((program, find(program.name)?)));
        let Some((program, path)) = found.next() else {
            tracing::warn!(
                "neither pasta (Debian package passt) nor slirp4netns is installed: there is no way out"
            );
            tokio::time::sleep(LONGEST_PAUSE).await;
            continue;
        };
        let begin = Instant::now();
        let paths = namespace.borrow_mut().inside();
        let ended = match paths {
            Ok(paths) => run((program.command)(&path, &paths)).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(why) => tracing::warn!("{} has ended: {why}", program.name),
            Err(error) => tracing::warn!(%error, "cannot run {}", program.name),
        }
        let was_well = begin.elapsed() > WELL;
        pause = if was_well { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

/// Runs a carrier to its end and returns the last that it said.
async fn run(mut command: Command) -> io::Result<String> {
    // SAFETY: between fork and exec the closure makes one system call only.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut last = String::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            // pasta complains of a missing syslog at every other line.
            if !line.contains("syslog") && !line.trim().is_empty() {
                last = line;
            }
        }
    }
    let status = child.wait().await?;
    Ok(if last.is_empty() { status.to_string() } else { last })
}

fn find(name: &str) -> Option<PathBuf> {
    let places = ["/usr/bin", "/usr/local/bin", "/bin", "/run/current-system/sw/bin"];
    places.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

/// The interface in the namespace.
const INTERFACE: &str = "egress0";
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After this a carrier has not failed to start.
const WELL: Duration = Duration::from_secs(5);
