//! End-to-end tests: the hull binary, real virtual machines, real registries, docker as oracle.
//!
//! Each test makes a [`Home`] (a state directory with a daemon of its own) and drops it; dropping
//! stops the daemon and fails the test if a process of it is left. Images come from
//! `build-images` through Debian's `docker-registry` on a loopback port of the test's own.

// A test harness: what it prints is for the runner.
#![allow(clippy::print_stderr)]

mod chaos;
mod command;
mod docker;
mod home;
mod images;
mod mount;
mod pty;
mod registry;
mod server;
mod shell;
mod user;

pub use chaos::{eventually, eventually_none, eventually_some, kill, kill_daemon_during};
pub use command::{Output, run, run_with_input};
pub use docker::Docker;
pub use home::{Home, hull};
pub use images::{Image, archive, layout};
pub use mount::SmallDisk;
pub use pty::Pty;
pub use registry::Registry;
pub use shell::{busybox_same_as_docker, same_as_docker, script};

/// Says why a test does nothing on this machine. The runner shows it with `--no-capture`, and
/// `make test` prints all of them at its end.
pub fn skip(reason: &str) {
    let line = format!("skipped: {reason}");
    eprintln!("{line}");
    if let Some(file) = std::env::var_os("HULL_TEST_SKIPS") {
        use std::io::Write;
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        if let Ok(mut file) = opened {
            let _ = writeln!(file, "{test}: {line}");
        }
    }
}
