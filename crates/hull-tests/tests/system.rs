//! The system around the containers: daemons, kernels, doctor, docker's own client.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use hull_tests::{Docker, Home};

#[test]
fn a_container_has_a_kernel_and_processors_of_its_own() {
    let (_registry, home, image) = Home::with_busybox();
    let host = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the host's kernel");
    let run = |flags: &[&str], script: &str| {
        let mut arguments = vec!["run", "--rm", "--network", "none"];
        arguments.extend_from_slice(flags);
        arguments.extend_from_slice(&[&image, "sh", "-c", script]);
        home.hull(&arguments).success()
    };
    assert_ne!(run(&[], "uname -r"), host.trim());
    assert_eq!(run(&[], "nproc"), "2");
    assert_eq!(run(&["--cpus", "1"], "nproc"), "1");
    assert_eq!(run(&["--cpus", "1.5"], "nproc"), "2");
    assert_eq!(run(&["-m", "100m"], "cat /sys/fs/cgroup/memory.max"), "104857600");
    assert_eq!(run(&["--pids-limit", "7"], "cat /sys/fs/cgroup/pids.max"), "7");
    assert_eq!(run(&["--cpus", "0.5"], "cat /sys/fs/cgroup/cpu.max"), "50000 100000");
    let boots: Vec<String> =
        (0..2).map(|_| run(&[], "cat /proc/sys/kernel/random/boot_id")).collect();
    assert_ne!(boots[0], boots[1]);
}

#[test]
fn too_much_memory_ends_the_container_and_not_its_agent() {
    let (_registry, home, image) = Home::with_busybox();
    let script = "tail /dev/zero; echo code=$?";
    let output = home.hull(&[
        "run",
        "--name",
        "box",
        "-m",
        "64m",
        "--network",
        "none",
        &image,
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(output.text(), "code=137", "{}", output.errors());
    let oom = home.hull(&["inspect", "-f", "{{.State.OOMKilled}}", "box"]).success();
    assert_eq!(oom, "true");
    home.hull(&["rm", "box"]).success();
}

#[test]
fn stop_uses_the_signal_and_the_time_that_were_asked_for() {
    let (_registry, home, image) = Home::with_busybox();
    let script = "trap 'echo usr1; exit 5' USR1; echo up; while :; do sleep 0.1; done";
    home.hull(&[
        "run",
        "-d",
        "--name",
        "polite",
        "--stop-signal",
        "USR1",
        "--network",
        "none",
        &image,
        "sh",
        "-c",
        script,
    ])
    .success();
    while home.hull(&["logs", "polite"]).text() != "up" {}
    home.hull(&["stop", "polite"]).success();
    assert_eq!(home.hull(&["logs", "polite"]).success(), "up\nusr1");
    let code = home.hull(&["inspect", "-f", "{{.State.ExitCode}}", "polite"]).success();
    assert_eq!(code, "5");
    home.hull(&["start", "polite"]).success();
    home.hull(&["kill", "polite"]).success();
    assert_eq!(home.hull(&["wait", "polite"]).success(), "137");
    let again = home.hull(&["kill", "polite"]);
    assert_eq!(again.code, 1);
    assert!(again.errors().contains("is not running"), "{}", again.errors());
    home.hull(&["rm", "polite"]).success();
}

#[test]
fn the_writable_layer_lasts_until_the_container_is_removed() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&[
        "run",
        "--name",
        "box",
        "--network",
        "none",
        &image,
        "sh",
        "-c",
        "cat /kept 2>/dev/null || echo kept > /kept; rm -f /bin/vi; mv /etc/group /etc/moved",
    ])
    .success();
    let again = home.hull(&["start", "-a", "box"]);
    assert_eq!(again.text(), "kept", "{}", again.errors());
    home.hull(&["rm", "box"]).success();
}

#[test]
fn daemons_with_different_homes_live_side_by_side() {
    let (_registry, first, image) = Home::with_busybox();
    let second = Home::new();
    first
        .hull(&["run", "-d", "--name", "box", "--network", "none", &image, "sleep", "100"])
        .success();
    assert_eq!(second.hull(&["ps", "-aq"]).success(), "");
    assert_eq!(second.hull(&["images", "-q"]).success(), "");
    second.hull(&["system", "stop"]).success();
    assert_eq!(first.hull(&["ps", "--format", "{{.Names}}"]).success(), "box");
    let mode = fs::metadata(first.socket()).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    first.hull(&["rm", "-f", "box"]).success();
}

#[test]
fn kernels_that_cannot_work_are_refused() {
    let home = Home::new();
    let set = |path: &str| home.hull(&["system", "kernel", "set", "--binary", path]);
    let garbage = home.path().join("garbage");
    fs::write(&garbage, [0x5a; 4096]).expect("a file");
    // Looks like a kernel in every way, and does not boot.
    let shown = home.hull(&["system", "kernel", "show"]).success();
    let own = shown.lines().find_map(|line| line.strip_prefix("Path:"));
    let mut kernel = fs::read(own.expect("a path").trim()).expect("the kernel");
    let broken = home.path().join("broken");
    kernel[4 << 20..5 << 20].fill(0);
    fs::write(&broken, kernel).expect("a file");
    for path in [
        garbage.to_str().expect("UTF-8"),
        broken.to_str().expect("UTF-8"),
        "/bin/true",
        "/no/such/kernel",
    ] {
        let output = set(path);
        assert_ne!(output.code, 0, "{path} was taken");
        assert!(output.errors().contains(path), "{}", output.errors());
    }
}

#[test]
fn dockers_own_client_works() {
    let (_registry, home, image) = Home::with_busybox();
    let socket = home.socket();
    let docker = |arguments: &[&str]| Docker::client(&socket, arguments);
    if std::process::Command::new("docker").arg("--version").output().is_err() {
        return hull_tests::skip("docker's client is not installed");
    }
    docker(&["version"]).success();
    let output =
        docker(&["run", "--rm", "--network", "none", &image, "sh", "-c", "echo hi; exit 4"]);
    assert_eq!((output.text().as_str(), output.code), ("hi", 4), "{}", output.errors());
    docker(&["run", "-d", "--name", "box", "--network", "none", &image, "sleep", "100"]).success();
    assert_eq!(
        docker(&["ps", "--format", "{{.Names}} {{.Image}}"]).success(),
        format!("box {image}")
    );
    assert_eq!(docker(&["exec", "box", "echo", "in"]).success(), "in");
    docker(&["stop", "-t", "1", "box"]).success();
    docker(&["rm", "box"]).success();
}

#[test]
fn doctor_finds_everything_that_make_test_installs() {
    let home = Home::new();
    let output = home.hull(&["system", "doctor"]);
    assert_eq!(output.code, 0, "{}\n{}", output.text(), output.errors());
}
