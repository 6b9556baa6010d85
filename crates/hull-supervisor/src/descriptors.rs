//! Keeps descriptors that a daemon happens to have out of its supervisors.

use tokio::process::Command;

/// Makes `command` start with standard input, output and error only. A supervisor outlives the
/// daemon, and whoever waits for the end of a pipe that it inherited would wait for it, too.
#[cfg(target_os = "linux")]
pub(crate) fn keep_standard_only(command: &mut Command) {
    /// `CLOSE_RANGE_CLOEXEC` of `linux/close_range.h`: the pipe by which a failed exec is reported
    /// must live until then.
    const CLOSE_ON_EXEC: libc::c_uint = 4;

    let prepare = || {
        // SAFETY: marks descriptors of the child, which is about to become another program.
        // Kernels before 5.11 refuse it; then foreign descriptors go on as they always did.
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_ON_EXEC) };
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes one system call only.
    unsafe { command.pre_exec(prepare) };
}

/// Elsewhere the descriptors of Rust programs are closed on exec one by one.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_standard_only(_: &mut Command) {}
