//! Bad days of `hull fork`: daemons, supervisors and machines that die, a disk that is full.

use std::collections::HashSet;
use std::fs;
use std::process::{Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use hull_tests::{
    Home, Image, Registry, SmallDisk, eventually, eventually_none, kill, kill_daemon_during, skip,
};

/// Counts for ever.
const COUNTER: &str = "trap exit TERM; n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done";

#[track_caller]
fn start_counter(home: &Home, image: &str) {
    let run = ["run", "-d", "--name", "source", "--network", "none", image, "sh", "-c", COUNTER];
    home.hull(&run).success();
    assert_counts(home, "source");
}

#[track_caller]
fn assert_counts(home: &Home, name: &str) {
    let log = || home.hull(&["logs", name]).success();
    let before = log().len();
    eventually("it goes on", || log().len() > before);
    let log = log();
    let numbers: Vec<u32> = log.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
}

/// Fails if there is a machine or a supervisor without a container that runs, or the other way
/// round, or a copy that stands still.
#[track_caller]
fn assert_owned(home: &Home) {
    eventually_none("what has no owner", || {
        let ids = home.hull(&["ps", "-q", "--no-trunc"]).success();
        let running: HashSet<&str> = ids.lines().collect();
        let mut odd: Vec<_> = home.processes().into_iter().map(|(_, line)| line).collect();
        let is_of = |line: &String, id: &str| {
            line.ends_with(&format!("/containers/{id} "))
                || line.contains(&format!("-name hull-{} ", &id[..12]))
                || line.contains(&format!("-name hull-{},", &id[..12]))
        };
        let all = odd.len();
        odd.retain(|line| !running.iter().any(|id| is_of(line, id)));
        let owned = all - odd.len();
        odd.retain(|line| !line.contains(" daemon ") && !line.contains("hull-pool"));
        odd.retain(|line| !line.contains("hull-ready"));
        odd.retain(|line| !line.contains("supervisor --wait "));
        if owned != 2 * running.len() {
            odd.push(format!("{owned} processes of {} containers", running.len()));
        }
        odd
    });
}

/// Forks the counter and returns what came of it, having ended `victim` meanwhile.
fn fork_and_kill(home: &Home, victim: u32, delay: u64) -> Output {
    let mut command = home.command(&["fork", "-n", "4", "--name", "child", "source"]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let command = command.spawn().expect("hull");
    sleep(Duration::from_millis(delay));
    kill(victim);
    command.wait_with_output().expect("hull ends")
}

#[test]
fn the_daemon_dies_in_every_phase_of_a_fork() {
    let (_registry, home, image) = Home::with_busybox();
    start_counter(&home, &image);
    for delay in [15, 50, 110, 200, 400] {
        let name = format!("child{delay}");
        kill_daemon_during(&home, &["fork", "-n", "8", "--name", &name, "source"], delay);
        assert_counts(&home, "source");
        assert_owned(&home);
        eventually_none("children that were never started", || {
            let filter = ["ps", "-aq", "--filter", "status=created"];
            let ids = home.hull(&filter).success();
            ids.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        let running = home.hull(&["ps", "--format", "{{.Names}}"]).success();
        for child in running.lines().filter(|child| child.starts_with("child")) {
            assert_counts(&home, child);
        }
        let all = home.hull(&["ps", "-a", "--format", "{{.Names}}"]).success();
        let children: Vec<_> = all.lines().filter(|child| child.starts_with("child")).collect();
        if !children.is_empty() {
            home.hull(&[&["rm", "-f"], &children[..]].concat()).success();
        }
        assert!(home.files("tmp/engine").is_empty(), "{:?}", home.files("tmp/engine"));
    }
    home.hull(&["fork", "-n", "2", "--name", "last", "source"]).success();
    assert_counts(&home, "last-2");
    assert_owned(&home);
    home.hull(&["system", "stop"]).success();
    eventually_none("processes", || home.processes());
}

#[test]
fn the_source_dies_while_it_is_forked() {
    let (_registry, home, image) = Home::with_busybox();
    start_counter(&home, &image);
    let victims: [(Victim, u64); 6] = [
        (supervisor, 20),
        (machine, 40),
        (supervisor, 90),
        (machine, 130),
        (supervisor, 180),
        (machine, 300),
    ];
    for (victim, delay) in victims {
        let victim = u32::try_from(victim(&home)).expect("a pid");
        let output = fork_and_kill(&home, victim, delay);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() == errors.is_empty(), "{output:?}");
        eventually("its end is recorded", || {
            let template = "{{.State.Status}} {{.State.ExitCode}}";
            home.hull(&["inspect", "-f", template, "source"]).success() == "exited 137"
        });
        assert_owned(&home);
        let names = home.hull(&["ps", "--format", "{{.Names}}"]).success();
        let children: Vec<_> = names.lines().collect();
        // All or none.
        let made = if output.status.success() { 4 } else { 0 };
        assert_eq!(children.len(), made, "{names} {errors}");
        assert_eq!(home.files("containers").len(), 1 + made, "{errors}");
        for child in &children {
            assert_counts(&home, child);
        }
        if !children.is_empty() {
            home.hull(&[&["rm", "-f"], &children[..]].concat()).success();
        }
        home.hull(&["rm", "source"]).success();
        start_counter(&home, &image);
    }
    home.hull(&["rm", "-f", "source"]).success();
    assert_owned(&home);
}

/// Says who is to be ended.
type Victim = fn(&Home) -> u64;

fn supervisor(home: &Home) -> u64 {
    home.state("source")["supervisor_pid"].as_u64().expect("a pid")
}

fn machine(home: &Home) -> u64 {
    home.machine_pid("source").into()
}

#[test]
fn children_live_on_when_all_that_they_come_from_has_died() {
    let (_registry, home, image) = Home::with_busybox();
    start_counter(&home, &image);
    home.hull(&["fork", "--name", "child", "source"]).success();
    kill(home.machine_pid("source"));
    home.hull(&["fork", "-n", "2", "--name", "grandchild", "child"]).success();
    home.hull(&["rm", "-f", "source", "child"]).success();
    for name in ["-name hull-pool", "-name hull-ready"] {
        home.pids(name).into_iter().for_each(kill);
    }
    for name in ["grandchild-1", "grandchild-2"] {
        assert_counts(&home, name);
        assert_eq!(home.hull(&["exec", name, "echo", "alive"]).success(), "alive");
    }
    // Each of them has a fate of its own.
    kill(home.machine_pid("grandchild-1"));
    assert_eq!(home.hull(&["wait", "grandchild-1"]).success(), "137");
    assert_counts(&home, "grandchild-2");
    assert_owned(&home);
    home.hull(&["system", "stop"]).success();
    eventually_none("processes", || home.processes());
}

#[test]
fn a_full_disk_costs_the_fork_and_not_the_source() {
    let home = Home::configured("");
    let disk = match SmallDisk::mount(home.path(), 1000) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    fs::write(home.path().join("config.toml"), "[pool]\nsize = 0\n").expect("config.toml");
    let registry = Registry::with_images(&[Image::Busybox]);
    home.pull(&registry, &[Image::Busybox]);
    start_counter(&home, &registry.name(&Image::Busybox));
    let script = "head -c 40m /dev/urandom > /big; sync; md5sum < /big";
    let sum = home.hull(&["exec", "source", "sh", "-c", script]).success();
    let used = rustix::fs::statvfs(home.path()).expect("statvfs");
    let used = ((used.f_blocks - used.f_bfree) * used.f_frsize) >> 20;
    // None of them has room; one has and four have not.
    for (room, flags) in [(20, &["-n", "1"]), (140, &["-n", "4"])] {
        disk.resize(u32::try_from(used + room).expect("not much"));
        let output = home.hull(&[&["fork", "--name", "child"], &flags[..], &["source"]].concat());
        assert_eq!(output.code, 1, "{} {}", output.text(), output.errors());
        assert!(output.errors().contains("No space left on device"), "{}", output.errors());
        assert_eq!(home.hull(&["ps", "-a", "--format", "{{.Names}}"]).success(), "source");
        assert_eq!(home.files("containers").len(), 1);
        assert!(home.files("tmp/engine").is_empty(), "{:?}", home.files("tmp/engine"));
        assert_counts(&home, "source");
        assert_owned(&home);
    }
    disk.resize(1000);
    home.hull(&["fork", "-n", "2", "--name", "child", "source"]).success();
    let script = ["exec", "child-2", "md5sum", "/big"];
    assert!(home.hull(&script).success().starts_with(&sum[..32]));
    home.hull(&["rm", "-f", "source", "child-1", "child-2"]).success();
    home.hull(&["system", "stop"]).success();
}

#[test]
fn a_full_disk_costs_the_checkpoint_and_not_the_source() {
    let (_registry, home, image) = Home::configured_with_busybox("[pool]\nsize = 0\n");
    start_counter(&home, &image);
    // Machines are not on it: they cannot do without what they have mapped of a tmpfs.
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    let disk = match SmallDisk::mount(&elsewhere, 20) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let dir = ["--checkpoint-dir", elsewhere.to_str().expect("UTF-8")];
    let create = [&["checkpoint", "create", "--leave-running"], &dir[..], &["source", "one"]];
    let create = create.concat();
    let output = home.hull(&create);
    assert_eq!(output.code, 1, "{} {}", output.text(), output.errors());
    assert!(output.errors().contains("No space left on device"), "{}", output.errors());
    let listed = || home.hull(&[&["checkpoint", "ls"], &dir[..], &["source"]].concat()).success();
    assert_eq!(listed(), "CHECKPOINT NAME");
    assert!(home.files("elsewhere").is_empty(), "{:?}", home.files("elsewhere"));
    assert_counts(&home, "source");
    assert_owned(&home);
    disk.resize(1000);
    home.hull(&create).success();
    assert_eq!(listed(), "CHECKPOINT NAME\none");
    home.hull(&["rm", "-f", "source"]).success();
    home.hull(&["system", "stop"]).success();
}
