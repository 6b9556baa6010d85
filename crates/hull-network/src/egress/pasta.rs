//! pasta(1): sockets of the host for flows of the namespace, by number and without translation.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tokio::process::Command;

use super::INTERFACE;

/// Returns the command for the namespaces (user, network).
pub(super) fn command(program: &Path, [user, net]: &[PathBuf; 2]) -> Command {
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
    command.arg("--userns").arg(user).arg("--netns").arg(net);
    command
}

/// Link-local addresses (RFC 3927): nobody routes them, so they hide nothing of the outside.
const ADDRESS: &str = "169.254.254.2";
const GATEWAY: &str = "169.254.254.1";
const NETMASK: &str = "30";
