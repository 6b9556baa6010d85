//! `kill -9` of every process in the picture, and nothing leaks.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use hull_tests::{Home, Image, Registry, eventually, eventually_none, kill, kill_daemon_during};

/// Machines that wait for a container would be found among those that have one.
const NO_POOL: &str = "[pool]\nsize = 0\n";

#[test]
fn containers_outlive_the_daemon() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let script = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done";
    home.hull(&["run", "-d", "--name", "box", "--network", "none", &image, "sh", "-c", script])
        .success();
    let first = home.daemon_pid();
    kill(first);
    sleep(Duration::from_millis(500));
    let state = home.hull(&["inspect", "-f", "{{.State.Status}} {{.State.Running}}", "box"]);
    assert_eq!(state.success(), "running true");
    assert_ne!(home.daemon_pid(), first);
    // The log has no hole: the supervisor wrote it all the time.
    let logs = home.hull(&["logs", "box"]).success();
    for (expected, line) in logs.lines().enumerate() {
        assert_eq!(line, expected.to_string());
    }
    assert_eq!(home.hull(&["exec", "box", "echo", "hello"]).success(), "hello");
    home.hull(&["stop", "-t", "1", "box"]).success();
    assert_eq!(home.hull(&["wait", "box"]).success(), "137");
    home.hull(&["rm", "box"]).success();
}

#[test]
fn an_exit_while_no_daemon_runs_is_recorded() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let run =
        ["run", "-d", "--name", "box", "--network", "none", &image, "sh", "-c", "sleep 2; exit 23"];
    home.hull(&run).success();
    home.hull(&["run", "-d", "--rm", "--name", "gone", "--network", "none", &image, "sleep", "1"])
        .success();
    kill(home.daemon_pid());
    eventually("supervisors end", || home.pids("supervisor").is_empty());
    let state = home.hull(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box"]);
    assert_eq!(state.success(), "exited 23");
    eventually("--rm is obeyed by the next daemon", || {
        home.hull(&["ps", "-a", "--format", "{{.Names}}"]).success() == "box"
    });
}

#[test]
fn the_end_of_a_supervisor_or_its_machine_is_an_exit() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    for victim in ["supervisor", "qemu-system"] {
        home.hull(&["run", "-d", "--name", "box", "--network", "none", &image, "sleep", "1000"])
            .success();
        let found = home.pids(victim);
        assert_eq!(found.len(), 1, "{victim}: {:?}", home.processes());
        kill(found[0]);
        assert_eq!(home.hull(&["wait", "box"]).success(), "137", "{victim}");
        let state = home.hull(&["inspect", "-f", "{{.State.Status}}", "box"]).success();
        assert_eq!(state, "exited", "{victim}");
        eventually("its processes end", || {
            home.pids("supervisor").is_empty() && home.pids("qemu-system").is_empty()
        });
        // The file system in the machine was cut off, not lost: it starts again.
        home.hull(&["start", "box"]).success();
        assert_eq!(home.hull(&["exec", "box", "echo", "again"]).success(), "again");
        home.hull(&["rm", "-f", "box"]).success();
    }
}

#[test]
fn the_daemon_dies_under_a_pull_a_run_and_an_exec() {
    let registry = Registry::with_images(&[Image::Busybox, Image::Python]);
    let home = Home::configured(NO_POOL);
    home.pull(&registry, &[Image::Busybox]);
    let image = registry.name(&Image::Busybox);
    let python = registry.name(&Image::Python);
    for delay in [20, 300, 900] {
        kill_daemon_during(&home, &["pull", &python], delay);
    }
    home.hull(&["pull", "-q", &python]).success();
    let run = ["run", "--rm", "--network", "none", &python, "python3", "-c", "print(6 * 7)"];
    assert_eq!(home.hull(&run).success(), "42");

    for delay in [50, 200, 500, 900] {
        let run = ["run", "--rm", "--network", "none", &image, "sleep", "1"];
        kill_daemon_during(&home, &run, delay);
        home.hull(&["ps", "-a"]).success();
    }
    eventually("no container is left", || home.hull(&["ps", "-aq"]).success().is_empty());
    eventually_none("supervisors and machines", || {
        let mut processes = home.processes();
        processes.retain(|(_, line)| line.contains("supervisor") || line.contains("qemu-system"));
        processes
    });

    home.hull(&["run", "-d", "--name", "box", "--network", "none", &image, "sleep", "1000"])
        .success();
    kill_daemon_during(&home, &["exec", "box", "sleep", "5"], 500);
    assert_eq!(home.hull(&["exec", "box", "echo", "alive"]).success(), "alive");
    home.hull(&["rm", "-f", "box"]).success();
}

#[test]
fn many_runs_leave_nothing_behind() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let run = ["run", "--rm", "--network", "none", &image, "true"];
    home.hull(&run).success();
    let before = footprint(&home);
    let count = std::env::var("HULL_TEST_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(25);
    for _ in 0..count {
        home.hull(&run).success();
    }
    // What is gone is what the first run was still removing.
    let new = |after: &(usize, usize, Vec<String>)| -> Vec<String> {
        let files = after.2.iter().filter(|file| !before.2.contains(file));
        files.cloned().collect()
    };
    let grown = |after: &(usize, usize, Vec<String>)| {
        after.0 > before.0 || after.1 > before.1 || !new(after).is_empty()
    };
    let mut after = footprint(&home);
    for _ in 0..50 {
        if !grown(&after) {
            break;
        }
        sleep(Duration::from_millis(100));
        after = footprint(&home);
    }
    assert!(
        !grown(&after),
        "descriptors {} -> {}, processes {} -> {}, new files {:?}",
        before.0,
        after.0,
        before.1,
        after.1,
        new(&after)
    );
}

/// Returns the daemon's open descriptors, the home's processes, and its files without the logs.
fn footprint(home: &Home) -> (usize, usize, Vec<String>) {
    let descriptors = format!("/proc/{}/fd", home.daemon_pid());
    let descriptors = fs::read_dir(descriptors).expect("the daemon runs").count();
    let mut files = Vec::new();
    walk(home.path(), &mut files);
    files.retain(|file| !file.ends_with(".log"));
    files.sort();
    (descriptors, home.processes().len(), files)
}

fn walk(dir: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        files.push(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), files);
        }
    }
}
