//! What tests of bad days have in common.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Ends a process as `kill -9` does; it may have ended already.
pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid as i32).expect("a pid");
    let _ = kill_process(pid, Signal::KILL);
}

/// Waits until `condition` holds.
///
/// # Panics
/// If that takes more than 30 seconds.
#[track_caller]
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        sleep(Duration::from_millis(50));
    }
}
