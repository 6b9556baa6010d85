//! pasta: carries what leaves the namespace over ordinary sockets of the host.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Signal, geteuid, set_parent_process_death_signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::AbortHandle;

use crate::namespace::Namespace;

/// A pasta that is kept running until this is dropped.
#[derive(Debug)]
pub(crate) struct Pasta(AbortHandle);

impl Pasta {
    /// Starts pasta for `namespace`.
    pub(crate) fn start(namespace: &Rc<RefCell<Namespace>>) -> Self {
        Self(tokio::task::spawn_local(keep(Rc::clone(namespace))).abort_handle())
    }
}

impl Drop for Pasta {
    fn drop(&mut self) {
        // The process is killed with the task.
        self.0.abort();
    }
}

/// Runs pasta, again and again. One that does not start (a host without a network) is tried less
/// often.
async fn keep(namespace: Rc<RefCell<Namespace>>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let Some(program) = find() else {
            tracing::warn!("pasta is not installed (Debian package passt): there is no way out");
            tokio::time::sleep(LONGEST_PAUSE).await;
            continue;
        };
        let begin = std::time::Instant::now();
        let paths = namespace.borrow_mut().inside();
        let ended = match paths {
            Ok(paths) => run(&program, &paths).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(why) => tracing::warn!("pasta has ended: {why}"),
            Err(error) => tracing::warn!(%error, "cannot run pasta"),
        }
        let was_well = begin.elapsed() > WELL;
        pause = if was_well { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

/// Runs pasta to its end and returns the last that it said.
async fn run(program: &Path, [user, net]: &[PathBuf; 2]) -> std::io::Result<String> {
    let mut command = Command::new(program);
    command
        .args(["--foreground", "--quiet", "--config-net", "--ns-ifname", INTERFACE])
        // No address of the host's: those then are outside, and reached as such.
        .args(["--address", ADDRESS, "--netmask", NETMASK, "--gateway", GATEWAY])
        // The host's loopback is not for containers, nor anything of theirs for the host.
        .args(["--no-map-gw", "--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra"])
        .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"]);
    if geteuid().is_root() {
        // It would become nobody, who may not enter the namespace.
        command.args(["--runas", "0"]);
    }
    // SAFETY: between fork and exec the closure makes one system call only.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let mut child = command
        .arg("--userns")
        .arg(user)
        .arg("--netns")
        .arg(net)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut last = String::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            // It complains of a missing syslog at every other line.
            if !line.contains("syslog") && !line.trim().is_empty() {
                last = line;
            }
        }
    }
    let status = child.wait().await?;
    Ok(if last.is_empty() { status.to_string() } else { last })
}

fn find() -> Option<PathBuf> {
    let places = ["/usr/bin", "/usr/local/bin", "/bin", "/run/current-system/sw/bin"];
    places.iter().map(|dir| Path::new(dir).join("pasta")).find(|path| path.is_file())
}

/// The interface in the namespace.
pub(super) const INTERFACE: &str = "egress0";
/// Link-local addresses (RFC 3927): nobody routes them, so they hide nothing of the outside.
const ADDRESS: &str = "169.254.254.2";
const GATEWAY: &str = "169.254.254.1";
const NETMASK: &str = "30";
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After this a pasta has not failed to start.
const WELL: Duration = Duration::from_secs(5);
