//! What the agent says on the kernel's console (`hull logs --boot`).

use std::sync::atomic::{AtomicBool, Ordering};

/// Writes one line to the console.
pub(crate) fn say(line: &str) {
    let line = format!("hull-init: {line}\n");
    // The agent's standard error is /dev/console; there is nowhere to report a failure to.
    let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
}

/// Switches [`phase`] on.
pub(crate) fn set_debug(on: bool) {
    DEBUG.store(on, Ordering::Relaxed);
}

/// Writes the name of a phase that is over, and when, if the kernel's command line has
/// `hull.debug`.
pub(crate) fn phase(name: &str) {
    if DEBUG.load(Ordering::Relaxed) {
        say(&format!("[{} us] {name}", uptime_us()));
    }
}

/// Returns microseconds since the kernel started.
pub(crate) fn uptime_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

static DEBUG: AtomicBool = AtomicBool::new(false);
