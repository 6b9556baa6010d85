//! Memory that a guest frees goes back to the host.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hull_tests::{Home, Image, Registry, eventually};

/// Returns the resident memory of a process in MiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim_end_matches(" kB").trim().parse::<u64>().expect("a number") / 1024
}

/// Has the container `box` use and free 600 MiB by `command`, which must print `done`.
fn check(home: &Home, command: &[&str]) {
    let machine = home.machine_pid("box");
    // What the first process makes QEMU translate is no memory of the guest.
    home.hull(&["exec", "box", "python3", "-c", "pass"]).success();
    let before = resident(machine);
    let output = home.hull(&[&["exec", "box"], command].concat());
    assert_eq!(output.text(), "done", "{}", output.errors());
    let most = resident(machine);
    let begin = Instant::now();
    let mut after = most;
    while after > before + 64 && begin.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(100));
        after = resident(machine);
    }
    assert!(after <= before + 64, "{before} MiB, then {most} MiB, after 10 s {after} MiB");
    home.hull(&["rm", "-f", "box"]).success();
}

const PROCESS: &[&str] =
    &["python3", "-c", "x = bytearray(b'\\xa5') * (600 << 20); del x; print('done')"];
const FILE: &[&str] = &[
    "sh",
    "-c",
    "head -c 600M /dev/zero > /files/big && ls -s /files | grep -q 614400 && rm /files/big && \
     echo done",
];

fn home(config: &str) -> (Registry, Home, String) {
    let registry = Registry::with_images(&[Image::Python]);
    let home = Home::configured(config);
    home.pull(&registry, &[Image::Python]);
    let image = registry.name(&Image::Python);
    (registry, home, image)
}

fn start(home: &Home, image: &str) -> String {
    let run = ["run", "-d", "--name", "box", "--network", "none", "--tmpfs", "/files:size=700m"];
    home.hull(&[&run[..], &[image, "sleep", "1000"]].concat()).success();
    home.origin("box").0
}

#[test]
fn what_a_fork_frees_goes_back() {
    let (_registry, home, image) = home("[pool]\nsize = 0\n");
    for command in [PROCESS, FILE] {
        assert_eq!(start(&home, &image), "fork");
        check(&home, command);
    }
}

#[test]
fn what_a_machine_of_the_pool_frees_goes_back() {
    let (_registry, home, image) = home("");
    eventually("a machine waits", || {
        home.hull(&["system", "metrics"]).text().contains("hull_pool_machines 2")
    });
    assert_eq!(start(&home, &image), "pool");
    check(&home, PROCESS);
}

#[test]
fn what_a_machine_that_booted_frees_goes_back() {
    let (_registry, home, image) = home("[templates]\nenabled = false\n");
    assert_eq!(start(&home, &image), "cold");
    check(&home, PROCESS);
}
