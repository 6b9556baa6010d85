//! What the agent says on the kernel's console (`hull logs --boot`).

use std::os::fd::OwnedFd;
use std::sync::OnceLock;

/// Writes one line to the console.
pub(crate) fn say(line: &str) {
    let line = format!("hull-init: {line}\n");
    // The agent's standard error is /dev/console; there is nowhere to report a failure to.
    let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
}

/// Switches [`phase`] on.
pub(crate) fn keep_phases() {
    let kept = rustix::fs::memfd_create("phases", rustix::fs::MemfdFlags::CLOEXEC);
    if let Ok(file) = kept {
        // Only ever set here.
        let _ = PHASES.set(file);
    }
}

/// Notes the name of a phase that is over, and when, if the kernel's command line has
/// `hull.debug`. Kept in memory, which children share: the console is slow.
pub(crate) fn phase(name: &str) {
    if PHASES.get().is_some() {
        phase_at(name, uptime_us());
    }
}

/// As [`phase`], for a phase that was over at `time`.
pub(crate) fn phase_at(name: &str, time: u64) {
    if let Some(phases) = PHASES.get() {
        let _ = rustix::io::write(phases, format!("[{time} us] {name}\n").as_bytes());
    }
}

/// Writes the phases to the console.
pub(crate) fn show_phases() {
    let Some(phases) = PHASES.get() else {
        return;
    };
    let mut buffer = vec![0; 64 << 10];
    let length = rustix::io::pread(phases, &mut buffer[..], 0).unwrap_or(0);
    for line in String::from_utf8_lossy(&buffer[..length]).lines() {
        say(line);
    }
}

/// Returns microseconds since the kernel started.
pub(crate) fn uptime_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

static PHASES: OnceLock<OwnedFd> = OnceLock::new();
