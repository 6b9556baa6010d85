//! Networks: addresses, names, isolation, ports, and what is left when processes are killed.

mod bad_days;
mod checkpoints;
mod docker;
mod forks;
mod hostile;
mod members;
mod names;
mod pairs;
mod ports;
mod reach;
mod ready;
mod services;
mod side_by_side;
mod user;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::{fs, str};

use hull_tests::Home;

/// A container that does nothing, and is called `name` in `network`.
pub(crate) fn idle(home: &Home, image: &str, name: &str, network: &str, more: &[&str]) {
    let mut arguments = vec!["run", "-d", "--name", name, "--network", network];
    arguments.extend(more);
    // Longer than any number of cycles takes.
    arguments.extend([image, "sleep", "86400"]);
    home.hull(&arguments).success();
}

/// Returns the interfaces in the namespace of the state directory `home`, without the loopback one and
/// the way out, which comes by itself.
pub(crate) fn links(home: &Path) -> Vec<String> {
    // Not any process of that name: machines that wait have namespaces of their own for a moment.
    let door = fs::read_to_string(home.join("networks/door")).expect("a network service");
    let mut inside = Command::new("nsenter");
    inside.args(["--target", door.trim(), "--user", "--preserve-credentials", "--net"]);
    let shown = inside.args(["cat", "/proc/net/dev"]).output().expect("nsenter");
    let shown = str::from_utf8(&shown.stdout).expect("names of interfaces");
    let names = shown.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    let names: Vec<_> = names.collect();
    assert!(names.iter().any(|name| name == "lo"), "no loopback interface");
    names.into_iter().filter(|name| !matches!(name.as_str(), "lo" | "egress0")).collect()
}

pub(crate) fn address(home: &Home, container: &str, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    home.hull(&["inspect", "-f", &format, container]).success()
}

/// Runs a shell line in a container and returns what it printed, errors and all.
pub(crate) fn sh(home: &Home, container: &str, line: &str) -> String {
    home.hull(&["exec", container, "sh", "-c", &format!("({line}) 2>&1")]).text()
}

/// Returns whether a web server answers at `address`.
pub(crate) fn is_served(address: &str) -> bool {
    TcpStream::connect(address).is_ok_and(|mut stream| {
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let mut text = String::new();
        stream.read_to_string(&mut text).is_ok() && text.starts_with("HTTP/1.")
    })
}
