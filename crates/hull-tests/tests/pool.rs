//! Machines that wait for their container.

use std::time::{Duration, Instant};

use hull_tests::{Home, eventually, kill};

/// Returns the pids of the machines that wait, and of their supervisors, once there is one each.
fn waiting(home: &Home) -> (u32, u32) {
    let pids = || (home.pids("-name hull-pool"), home.pids("supervisor --wait"));
    eventually("a machine waits", || {
        let pool = "hull_pool_machines 1";
        home.hull(&["system", "metrics"]).text().lines().any(|line| line == pool)
    });
    let (machines, supervisors) = pids();
    assert_eq!((machines.len(), supervisors.len()), (1, 1), "{:?}", home.processes());
    (machines[0], supervisors[0])
}

/// Runs a container and returns the mode of its start.
fn run(home: &Home, image: &str, flags: &[&str]) -> String {
    let run = ["run", "--name", "box", "--network", "none"];
    let output = home.hull(&[&run[..], flags, &[image, "echo", "hello"]].concat());
    assert_eq!(output.success(), "hello", "{}", output.errors());
    let (mode, _) = home.origin("box");
    home.hull(&["rm", "box"]).success();
    mode
}

#[test]
fn a_machine_waits_and_is_cloned_by_any_number_of_starts() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["ps"]).success();
    let first = waiting(&home);
    assert_eq!(home.files("pool").len(), 1);
    for _ in 0..5 {
        assert_eq!(run(&home, &image, &[]), "pool");
    }
    std::thread::scope(|scope| {
        for name in ["one", "two", "three", "four"] {
            let (home, image) = (&home, &image);
            let sleep = ["-d", "--network", "none", image, "sleep", "1000"];
            scope.spawn(move || {
                home.hull(&[&["run", "--name", name], &sleep[..]].concat()).success();
            });
        }
    });
    for name in ["one", "two", "three", "four"] {
        assert_eq!(home.origin(name).0, "pool");
    }
    assert_eq!(waiting(&home), first);
    // What waits is of no use to it, and is left alone.
    assert_ne!(run(&home, &image, &["-m", "1100m"]), "pool");
    assert_eq!(run(&home, &image, &[]), "pool");
    assert_eq!(waiting(&home), first);
    // Clones have nothing to do with what becomes of it.
    kill(first.0);
    eventually("it has gone", || !home.pids("supervisor --wait").contains(&first.1));
    assert_eq!(home.hull(&["exec", "three", "echo", "alive"]).success(), "alive");
    let supervisors = home.pids("supervisor --zygote");
    assert_eq!(supervisors.len(), 4);
    kill(supervisors[0]);
    eventually("a machine ends with its supervisor", || {
        home.pids("-name hull-").len() - home.pids("-name hull-pool").len() == 3
    });
    home.hull(&["rm", "-f", "one", "two", "three", "four"]).success();
    home.hull(&["system", "stop"]).success();
    eventually("nothing is left", || home.processes().is_empty());
    assert!(home.files("pool").is_empty(), "{:?}", home.files("pool"));
}

#[test]
fn the_pool_follows_what_is_started_again_and_again() {
    let (_registry, home, image) = Home::with_busybox();
    waiting(&home);
    for _ in 0..2 {
        assert_ne!(run(&home, &image, &["--cpus", "1", "-m", "1100m"]), "pool");
    }
    eventually("a machine of the other shape waits", || {
        run(&home, &image, &["--cpus", "1", "-m", "1100m"]) == "pool"
    });
}

#[test]
fn a_killed_daemon_leaves_no_machine_that_waits() {
    let (_registry, home, image) = Home::with_busybox();
    waiting(&home);
    kill(home.daemon_pid());
    eventually("the machine ends", || home.processes().is_empty());
    assert_eq!(run(&home, &image, &[]).len(), 4);
    waiting(&home);
    assert_eq!(home.files("pool").len(), 1, "{:?}", home.files("pool"));
}

#[test]
fn a_start_does_without_a_machine_that_was_killed_while_it_waited() {
    let (_registry, home, image) = Home::with_busybox();
    for victim in [|pids: (u32, u32)| pids.0, |pids: (u32, u32)| pids.1] {
        kill(victim(waiting(&home)));
        // At once, before anybody has noticed.
        let mode = run(&home, &image, &[]);
        assert!(mode == "fork" || mode == "pool", "{mode}");
    }
    waiting(&home);
    let begin = Instant::now();
    home.hull(&["system", "stop"]).success();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(home.files("pool").is_empty(), "{:?}", home.files("pool"));
}

#[test]
fn machines_that_die_while_they_wait_are_replaced() {
    let (_registry, home, image) = Home::with_busybox();
    let (machine, supervisor) = waiting(&home);
    kill(machine);
    eventually("its supervisor ends", || !home.pids("supervisor --wait").contains(&supervisor));
    let (machine, supervisor) = waiting(&home);
    kill(supervisor);
    eventually("its machine ends", || !home.pids("hull-pool").contains(&machine));
    waiting(&home);
    assert_eq!(run(&home, &image, &[]), "pool");
}

#[test]
fn a_pool_of_none_has_none() {
    let (_registry, home, image) = Home::configured_with_busybox("[pool]\nsize = 0\n");
    assert_eq!(run(&home, &image, &[]), "fork");
    std::thread::sleep(Duration::from_secs(2));
    assert!(home.pids("supervisor").is_empty(), "{:?}", home.processes());
    assert!(home.files("pool").is_empty());
}

#[test]
fn machines_whose_container_does_nothing_do_nothing() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["ps"]).success();
    waiting(&home);
    // `cpu  user nice system idle iowait ..`, in hundredths of a second of all processors.
    let script = "sleep 1; head -n 1 /proc/stat; sleep 4; head -n 1 /proc/stat";
    for flags in [&["--network", "none"][..], &[], &["-v", "/tmp:/shared:ro"]] {
        let run = [&["run", "--rm"], flags, &[&image, "sh", "-c", script]].concat();
        let said = home.hull(&run).success();
        let numbers = |line: &str| -> Vec<u64> {
            line.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect()
        };
        let lines: Vec<_> = said.lines().map(numbers).collect();
        let passed = |at: usize| lines[1][at] - lines[0][at];
        let all: u64 = (0..8).map(passed).sum();
        let idle = passed(3) + passed(4);
        assert!(idle * 4 > all * 3, "{flags:?}: idle for {idle} of {all}: {said}");
    }
}
