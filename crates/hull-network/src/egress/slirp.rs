//! slirp4netns(1), where there is no pasta: TCP, UDP and echoes of IPv4 by a TCP/IP of its own.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::INTERFACE;

/// Returns the command for the namespaces (user, network).
pub(super) fn command(program: &Path, [user, net]: &[PathBuf; 2]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--configure", "--cidr", NETWORK, "--mtu", MTU])
        // The host's loopback is not for containers, and names are asked for elsewhere.
        .args(["--disable-host-loopback", "--disable-dns"])
        .arg("--userns-path")
        .arg(user)
        .args(["--netns-type", "path"])
        .arg(net)
        .arg(INTERFACE);
    command
}

/// Link-local addresses (RFC 3927), as pasta's; it wants some to give away.
const NETWORK: &str = "169.254.254.0/24";
/// That of the bridges: a larger one would only make fragments.
const MTU: &str = "1500";
