//! Restart policies: with a daemon that lives, and with one that is killed.

use hull_tests::{Home, eventually, kill};

fn states(home: &Home) -> String {
    let format = "{{.Names}} {{.State}}";
    let listed = home.hull(&["ps", "-a", "--format", format]).success();
    let mut lines: Vec<_> = listed.lines().collect();
    lines.sort_unstable();
    lines.join(", ")
}

#[test]
fn policies_hold_whatever_happens_to_the_daemon() {
    let (_registry, home, image) = Home::configured_with_busybox("[pool]\nsize = 0\n");
    let run = |name: &str, policy: &str, script: &str| {
        let run = ["run", "-d", "--name", name, "--network", "none", "--restart", policy];
        home.hull(&[&run[..], &[&image, "sh", "-c", script]].concat()).success();
    };
    let inspect = |name: &str, format: &str| home.hull(&["inspect", "-f", format, name]).success();

    // Each run writes down that it was there: the disk stays.
    run("failing", "on-failure:2", "echo run >> /runs; wc -l < /runs; exit 3");
    eventually("the last run ends", || {
        inspect("failing", "{{.State.Status}} {{.RestartCount}}") == "exited 2"
    });
    assert_eq!(home.hull(&["logs", "failing"]).success(), "1\n2\n3");
    home.hull(&["rm", "failing"]).success();

    run("loop", "always", "exit 1");
    eventually("it waits", || inspect("loop", "{{.State.Status}}") == "restarting");
    kill(home.daemon_pid());
    eventually("the next daemon goes on", || {
        inspect("loop", "{{.State.Status}} {{.RestartCount}}").starts_with("restarting")
    });
    home.hull(&["stop", "loop"]).success();

    run("up", "always", "exec sleep 1000");
    run("kept-down", "unless-stopped", "exec sleep 1000");
    run("crashed", "unless-stopped", "exec sleep 1000");
    home.hull(&["kill", "kept-down", "up"]).success();
    assert_eq!(states(&home), "crashed running, kept-down exited, loop exited, up exited");
    home.hull(&["rm", "-f", "loop"]).success();
    // As a reboot would: everything is gone at once.
    kill(home.daemon_pid());
    for pid in home.pids("supervisor") {
        kill(pid);
    }
    eventually("who should run does", || {
        states(&home) == "crashed running, kept-down exited, up running"
    });
    assert_eq!(inspect("crashed", "{{.RestartCount}}"), "0");
    home.hull(&["rm", "-f", "crashed", "kept-down", "up"]).success();
}
