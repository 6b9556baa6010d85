//! What tests of bad days have in common.

use std::fmt::Debug;
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Home;

/// Ends a process as `kill -9` does, and returns when it has let go of its files: before that a
/// client may still reach its socket. It may have ended already.
pub fn kill(pid: u32) {
    let _ = kill_process(Pid::from_raw(pid as i32).expect("a pid"), Signal::KILL);
    eventually("a killed process ends", || {
        // Nobody may have waited for it: then it is a zombie.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
    });
}

/// Ends the daemon of `home` while it does what `arguments` say, `delay` milliseconds into it.
pub fn kill_daemon_during(home: &Home, arguments: &[&str], delay: u64) {
    let mut command = home.command(arguments);
    let mut command = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("hull");
    sleep(Duration::from_millis(delay));
    kill(home.daemon_pid());
    let _ = command.wait();
}

/// Waits until `condition` holds.
///
/// # Panics
/// If that takes more than a minute.
#[track_caller]
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    eventually_some(what, || condition().then_some(()));
}

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// If that takes more than a minute.
#[track_caller]
pub fn eventually_some<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        sleep(LOOK);
    }
}

/// Waits until `left` returns nothing.
///
/// # Panics
/// With what it returns, if that takes more than a minute.
#[track_caller]
pub fn eventually_none<I: IntoIterator<Item: Debug>>(what: &str, left: impl Fn() -> I) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let left: Vec<_> = left().into_iter().collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}: {left:?}");
        sleep(LOOK);
    }
}

const LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
