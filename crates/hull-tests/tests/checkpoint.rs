//! Containers on disk, as they were at one moment.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hull_tests::{Home, eventually, eventually_none, kill, kill_daemon_during};

/// Counts in memory, keeps a deleted file open, and does what it finds in `/do`.
const PROGRAM: &str = "\
exec 5>/deleted; echo old > /deleted; exec 6</deleted; rm /deleted; echo one > /dev/shm/memory
count=0
while :; do
  count=$((count + 1))
  if [ -e /do ]; then
    . /do > /done.new 2>&1
    rm /do; mv /done.new /done
  fi
  sleep 0.1
done";

fn start(home: &Home, image: &str, flags: &[&str]) {
    let run = ["run", "-d", "--name", "box"];
    home.hull(&[&run[..], flags, &[image, "sh", "-c", PROGRAM]].concat()).success();
}

/// Has the program itself run `script`, and returns what that prints.
fn ask(home: &Home, script: &str) -> String {
    let tell = format!("echo '{script}' > /do.new; mv /do.new /do");
    home.hull(&["exec", "box", "sh", "-c", &tell]).success();
    let look = "until [ -e /done ]; do sleep 0.05; done; cat /done; rm /done";
    home.hull(&["exec", "box", "sh", "-c", look]).success()
}

fn count(home: &Home) -> u64 {
    let said = ask(home, "echo $count");
    said.parse().unwrap_or_else(|error| panic!("{said}: {error}"))
}

#[test]
fn a_container_goes_on_from_a_checkpoint_again_and_again() {
    let (_registry, home, image) = Home::with_busybox();
    start(&home, &image, &[]);
    home.hull(&["exec", "box", "sh", "-c", "echo first > /file"]).success();
    let before = count(&home);
    let made = home.hull(&["checkpoint", "create", "--leave-running", "box", "one"]);
    assert_eq!(made.success(), "one");
    // It runs on, and what it does from here on is not in the checkpoint.
    home.hull(&["exec", "box", "sh", "-c", "echo second > /file; echo two > /dev/shm/memory"]);
    std::thread::sleep(Duration::from_secs(2));
    let after = count(&home);
    assert!(after > before + 5, "{before} {after}");
    let made = home.hull(&["checkpoint", "create", "box", "two"]);
    assert_eq!(made.success(), "two");
    let state = ["inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}.", "box"];
    assert_eq!(home.hull(&state).success(), "137 .");
    let listed = home.hull(&["checkpoint", "ls", "box"]).success();
    assert_eq!(listed, "CHECKPOINT NAME\none\ntwo");

    // The daemon that made them is not needed, nor anything in the host's memory.
    kill(home.daemon_pid());
    eventually_none("a process is left", || home.pids("qemu-system"));
    let look = "cat /file /dev/shm/memory; cat <&6; cat /proc/sys/kernel/random/uuid; date +%s";
    let mut uuids = Vec::new();
    for _ in 0..2 {
        assert_eq!(home.hull(&["start", "--checkpoint", "one", "box"]).success(), "box");
        let now = count(&home);
        assert!((before..after).contains(&now), "{before} {now} {after}");
        let said = ask(&home, look);
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[..2], ["first", "one"], "{said}");
        uuids.push(lines[lines.len() - 2].to_owned());
        let clock: u64 = lines[lines.len() - 1].parse().unwrap();
        let host = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(host.abs_diff(clock) < 30, "{host} {clock}");
        home.hull(&["stop", "-t", "0", "box"]).success();
    }
    assert_ne!(uuids[0], uuids[1]);
    assert!(home.origin("box").0 == "fork");

    home.hull(&["start", "--checkpoint", "two", "box"]).success();
    assert_eq!(ask(&home, "cat /file /dev/shm/memory"), "second\ntwo");
    // What was restored can be saved, too, and forked.
    home.hull(&["checkpoint", "create", "--leave-running", "box", "three"]).success();
    home.hull(&["fork", "--name", "twin", "box"]).success();
    assert_eq!(home.hull(&["exec", "twin", "cat", "/file"]).success(), "second");
    home.hull(&["stop", "-t", "0", "box"]).success();
    home.hull(&["start", "--checkpoint", "three", "box"]).success();
    assert_eq!(ask(&home, "cat /file"), "second");

    home.hull(&["checkpoint", "rm", "box", "one"]).success();
    let listed = home.hull(&["checkpoint", "ls", "box"]).success();
    assert_eq!(listed, "CHECKPOINT NAME\nthree\ntwo");
    home.hull(&["rm", "-f", "box", "twin"]).success();
    home.hull(&["system", "stop"]).success();
    eventually_none("a process is left", || home.processes());
    let left = [home.files("tmp/engine"), home.files("containers")].concat();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let (_registry, home, image) = Home::with_busybox();
    start(&home, &image, &[]);
    let refused = |arguments: &[&str], text: &str| {
        let output = home.hull(arguments);
        assert_eq!(output.code, 1, "{arguments:?}: {}", output.errors());
        assert!(output.errors().contains(text), "{arguments:?}: {}", output.errors());
    };
    refused(&["checkpoint", "create", "nobody", "one"], "No such container: nobody");
    refused(&["checkpoint", "create", "box", "../one"], "Invalid checkpoint ID (../one)");
    refused(&["checkpoint", "rm", "box", "one"], "checkpoint one does not exist");
    refused(&["start", "--checkpoint", "one", "box"], "checkpoint one does not exist");
    home.hull(&["pause", "box"]).success();
    refused(&["checkpoint", "create", "box", "one"], "unpause it first");
    home.hull(&["unpause", "box"]).success();
    let elsewhere = home.path().join("elsewhere");
    let dir = elsewhere.to_str().unwrap();
    home.hull(&["checkpoint", "create", "--leave-running", "--checkpoint-dir", dir, "box", "one"])
        .success();
    refused(
        &["checkpoint", "create", "--checkpoint-dir", dir, "box", "one"],
        "checkpoint with name one already exists",
    );
    assert_eq!(home.hull(&["checkpoint", "ls", "box"]).success(), "CHECKPOINT NAME");
    let listed = home.hull(&["checkpoint", "ls", "--checkpoint-dir", dir, "box"]).success();
    assert_eq!(listed, "CHECKPOINT NAME\none");

    // A damaged one costs the container nothing.
    home.hull(&["exec", "box", "sh", "-c", "echo later > /file; sync"]).success();
    home.hull(&["stop", "-t", "0", "box"]).success();
    refused(&["checkpoint", "create", "box", "two"], "not running");
    let machine = fs::File::options().write(true).open(elsewhere.join("one/machine")).unwrap();
    machine.set_len(machine.metadata().unwrap().len() / 2).unwrap();
    let start = ["start", "--checkpoint-dir", dir, "--checkpoint", "one", "box"];
    refused(&start, "box");
    // What another QEMU has saved is not for this one.
    let about = elsewhere.join("one/checkpoint.json");
    let mut checkpoint: serde_json::Value =
        serde_json::from_slice(&fs::read(&about).unwrap()).unwrap();
    checkpoint["about"]["shape"]["vmm"] = "1.2.3".into();
    fs::write(&about, checkpoint.to_string()).unwrap();
    refused(&start, "the checkpoint was made with 1.2.3 and version ");
    fs::write(about, "{}").unwrap();
    refused(&start, "checkpoint one is damaged");
    home.hull(&["start", "box"]).success();
    assert_eq!(home.hull(&["exec", "box", "cat", "/file"]).success(), "later");

    home.hull(&["rm", "-f", "box"]).success();
    home.hull(&["system", "stop"]).success();
    eventually_none("a process is left", || home.processes());
}

#[test]
fn a_source_that_dies_leaves_a_whole_checkpoint_or_none() {
    let (_registry, home, image) = Home::with_busybox();
    start(&home, &image, &[]);
    for (is_machine, delay) in [(true, 30), (false, 60), (true, 150), (false, 400)] {
        let supervisor = home.state("box")["supervisor_pid"].as_u64().unwrap() as u32;
        let victim = if is_machine { home.machine_pid("box") } else { supervisor };
        let mut create = home.command(&["checkpoint", "create", "--leave-running", "box", "one"]);
        let create = create.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        std::thread::sleep(Duration::from_millis(delay));
        kill(victim);
        let made = create.unwrap().wait().unwrap().success();
        let listed = home.hull(&["checkpoint", "ls", "box"]).success();
        assert_eq!(listed.contains("one"), made, "{listed}");
        let exited = ["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box"];
        eventually("its end is recorded", || home.hull(&exited).success() == "exited 137");
        eventually("no copy is left", || home.pids("-name hull-fork").is_empty());
        if made {
            home.hull(&["start", "--checkpoint", "one", "box"]).success();
            home.hull(&["checkpoint", "rm", "box", "one"]).success();
        } else {
            home.hull(&["start", "box"]).success();
        }
        count(&home);
    }
    home.hull(&["rm", "-f", "box"]).success();
    let left = home.files("containers");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_daemon_that_dies_leaves_a_whole_checkpoint_or_none() {
    let (_registry, home, image) = Home::with_busybox();
    start(&home, &image, &[]);
    for delay in [30, 150, 400] {
        kill_daemon_during(
            &home,
            &["checkpoint", "create", "--leave-running", "box", "one"],
            delay,
        );
        // The container does not notice.
        let before = count(&home);
        eventually("it goes on", || count(&home) > before);
        eventually("no copy is left", || home.pids("-name hull-fork").is_empty());
        let listed = home.hull(&["checkpoint", "ls", "box"]).success();
        if listed.contains("one") {
            home.hull(&["checkpoint", "rm", "box", "one"]).success();
        }
    }
    home.hull(&["checkpoint", "create", "box", "one"]).success();
    home.hull(&["start", "--checkpoint", "one", "box"]).success();
    count(&home);
}
