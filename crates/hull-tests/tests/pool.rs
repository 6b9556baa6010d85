//! Machines that wait for their container.

use std::time::{Duration, Instant};

use hull_tests::{Home, eventually, eventually_some, kill};
use rustix::process::{Pid, Signal, kill_process};

/// A machine and its supervisor.
type Pids = (u32, u32);

/// Returns the machine that is cloned and the clone that is ready, once there is one each. What
/// the daemon says may be of a machine that has just been killed, so all of it has to be seen at
/// one time.
fn waiting(home: &Home) -> [Pids; 2] {
    eventually_some("machines wait", || try_waiting(home))
}

fn try_waiting(home: &Home) -> Option<[Pids; 2]> {
    let pool = "hull_pool_machines 2";
    home.hull(&["system", "metrics"]).text().lines().find(|line| *line == pool)?;
    let one = |name: &str| <[u32; 1]>::try_from(home.pids(name)).ok().map(|[pid]| pid);
    let (zygote, ready) = (one("-name hull-pool")?, one("-name hull-ready")?);
    let dir_of = |pid: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.trim_end_matches('\0').rsplit('\0').next().unwrap_or_default().to_owned()
    };
    // Of the supervisors that have waited, those whose machine has not been claimed.
    let places = home.files("pool");
    let mut supervisors = home.pids("supervisor --wait");
    supervisors.retain(|pid| places.iter().any(|place| dir_of(pid).ends_with(place.as_str())));
    let of_zygote = parent(zygote)?;
    supervisors.sort_by_key(|pid| *pid != of_zygote);
    let [first, second] = <[u32; 2]>::try_from(supervisors).ok()?;
    (first == of_zygote).then_some([(zygote, first), (ready, second)])
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok())
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
    let [first, _] = waiting(&home);
    assert_eq!(home.files("pool").len(), 2);
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
    assert_eq!(waiting(&home)[0], first);
    // What waits is of no use to it, and is left alone.
    assert_ne!(run(&home, &image, &["-m", "1100m"]), "pool");
    assert_eq!(run(&home, &image, &[]), "pool");
    assert_eq!(waiting(&home)[0], first);
    // Clones have nothing to do with what becomes of it.
    kill(first.0);
    eventually("it has gone", || !home.pids("supervisor --wait").contains(&first.1));
    assert_eq!(home.hull(&["exec", "three", "echo", "alive"]).success(), "alive");
    // The fourth may have been ready before.
    let supervisors = home.pids("supervisor --zygote");
    assert!((3..=4).contains(&supervisors.len()), "{:?}", home.processes());
    kill(supervisors[0]);
    eventually("a machine ends with its supervisor", || {
        let waiting = home.pids("-name hull-pool").len() + home.pids("-name hull-ready").len();
        home.pids("-name hull-").len() - waiting == 3
    });
    home.hull(&["rm", "-f", "one", "two", "three", "four"]).success();
    home.hull(&["system", "stop"]).success();
    eventually("nothing is left", || home.processes().is_empty());
    assert!(home.files("pool").is_empty(), "{:?}", home.files("pool"));
}

#[test]
fn a_machine_that_is_ready_is_claimed_once_and_called_as_its_container() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["ps"]).success();
    let [_, ready] = waiting(&home);
    let id = home.hull(&["run", "-d", "--name", "one", &image, "sleep", "1000"]).success();
    assert_eq!(home.pids(&format!("-name hull-{}", &id[..12])), [ready.0]);
    assert_eq!(home.pids("supervisor --wait").iter().filter(|pid| **pid == ready.1).count(), 1);
    let [_, next] = waiting(&home);
    assert_ne!(next, ready);
    // It has a disk, an address and a name of its own.
    home.hull(&["run", "-d", "--name", "two", &image, "sleep", "1000"]).success();
    let told = |name: &str| {
        let script =
            "hostname; hostname -i; cat /proc/sys/kernel/random/boot_id; echo kept > /file";
        home.hull(&["exec", name, "sh", "-c", script]).success()
    };
    let (one, two) = (told("one"), told("two"));
    assert!(one.lines().zip(two.lines()).all(|(one, two)| one != two), "{one} {two}");
    // A restart takes another machine, and the disk with it.
    home.hull(&["restart", "-t", "0", "one"]).success();
    assert_eq!(home.hull(&["exec", "one", "cat", "/file"]).success(), "kept");
    assert_eq!(home.origin("one").0, "pool");
    // One that dies while it waits is replaced, and costs no start.
    let [_, (machine, _)] = waiting(&home);
    kill(machine);
    assert_eq!(run(&home, &image, &[]), "pool");
    waiting(&home);
}

#[test]
fn a_machine_that_is_ready_is_for_the_image_that_was_started_last() {
    let (_registry, home, image) = Home::with_busybox();
    // Its program never ends, wherever it is run.
    let program = "printf '#!/bin/sh\\nwhile :; do :; done\\n' >/forever; chmod +x /forever";
    let make = ["run", "--name", "maker", "--network", "none", &image, "sh", "-c", program];
    home.hull(&make).success();
    home.hull(&["commit", "-c", "CMD [\"/forever\"]", "maker", "other"]).success();
    home.hull(&["rm", "maker"]).success();
    let start = |name: &str, image: &str| {
        home.hull(&["run", "-d", "--name", name, "--network", "none", image]).success();
        assert_eq!(home.origin(name).0, "pool", "{name}");
        home.hull(&["rm", "-f", name]).success();
    };
    waiting(&home);
    assert_eq!(run(&home, &image, &[]), "pool");
    let [_, of_image] = waiting(&home);
    // One start of another image leaves it alone; one more is a habit.
    start("first", "other");
    assert_eq!(waiting(&home)[1], of_image);
    start("second", "other");
    let [_, of_other] = waiting(&home);
    assert_ne!(of_other, of_image);
    start("third", "other");
    let [_, of_other] = waiting(&home);
    assert_eq!(run(&home, &image, &[]), "pool");
    assert_eq!(waiting(&home)[1], of_other);
    // It does not keep what has been removed.
    home.hull(&["rmi", "other"]).success();
    eventually("it goes with its image", || !home.pids("-name hull-ready").contains(&of_other.0));
    waiting(&home);
    assert_eq!(run(&home, &image, &[]), "pool");
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
    assert_eq!(home.files("pool").len(), 2, "{:?}", home.files("pool"));
}

#[test]
fn a_start_does_without_a_machine_that_was_killed_while_it_waited() {
    let (_registry, home, image) = Home::with_busybox();
    for victim in [|pids: Pids| pids.0, |pids: Pids| pids.1] {
        // The one that is ready is the one that is taken.
        waiting(&home).into_iter().rev().for_each(|pids| kill(victim(pids)));
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
fn a_start_does_not_wait_for_machines_that_are_stopped() {
    let (_registry, home, image) = Home::with_busybox();
    let machines = waiting(&home).map(|(machine, _)| machine);
    let signal = |signal| {
        for machine in machines {
            let pid = Pid::from_raw(machine as i32).unwrap();
            // The start has ended the one that was ready.
            let _ = kill_process(pid, signal);
        }
    };
    signal(Signal::STOP);
    let begin = Instant::now();
    let mode = run(&home, &image, &[]);
    let took = begin.elapsed();
    signal(Signal::CONT);
    assert_eq!(mode, "fork");
    // Nobody would wait for less than that before it gave them up by the time alone.
    assert!(took < Duration::from_secs(15), "{took:?}");
    // What it is asked for too late comes to nothing.
    waiting(&home);
    eventually("nobody has a machine", || {
        let machines = home.pids("-name hull-");
        machines.len() == 2
    });
    assert_eq!(run(&home, &image, &[]), "pool");
}

#[test]
fn machines_that_die_while_they_wait_are_replaced() {
    let (_registry, home, image) = Home::with_busybox();
    let [(machine, supervisor), _] = waiting(&home);
    kill(machine);
    eventually("its supervisor ends", || !home.pids("supervisor --wait").contains(&supervisor));
    let [(machine, supervisor), _] = waiting(&home);
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
