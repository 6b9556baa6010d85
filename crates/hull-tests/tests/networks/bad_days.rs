//! What is left, and what comes back, when processes are killed.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use hull_tests::{Home, eventually, eventually_none};
use rustix::process::{Pid, Signal, kill_process};

use crate::{idle, is_served, links, sh};

#[test]
fn networks_survive_the_death_of_their_processes() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["run", "-d", "--name", "web", "-p", "127.0.0.1::80", &image, "httpd", "-f"])
        .success();
    idle(&home, &image, "other", "bridge", &[]);
    let port = home.hull(&["port", "web", "80"]).success();
    // One that lives on through all that follows: it is between containers.
    home.hull(&["exec", "-d", "web", "nc", "-l", "-p", "7", "-e", "cat"]).success();
    // Each step when the one before it is done: a word said to no pipe would make a file of it.
    eventually("web listens", || sh(&home, "web", "netstat -ltn").contains(":7 "));
    home.hull(&["exec", "other", "mkfifo", "/tmp/in"]).success();
    let talk = "sleep 600 > /tmp/in & nc web 7 < /tmp/in > /tmp/out";
    home.hull(&["exec", "-d", "other", "sh", "-c", talk]).success();
    let answers = |word: &str| {
        home.hull(&["exec", "other", "sh", "-c", &format!("echo {word} > /tmp/in")]).success();
        eventually("the connection carries data", || {
            sh(&home, "other", "cat /tmp/out").ends_with(word)
        });
    };
    answers("first");
    let kill = |word: &str| {
        let pids = home.pids(word);
        assert!(!pids.is_empty(), "no {word}");
        for pid in pids {
            kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
        }
    };
    let works = || is_served(&port);
    let named = || sh(&home, "other", "ping -c 1 -W 1 web").contains("1 packets received");
    // Kills processes and returns how long port and name are away.
    let outage = |words: &[&str]| {
        words.iter().for_each(|word| kill(word));
        let killed = Instant::now();
        // Each container finds the new service by itself: names come with who asks for them.
        for (what, is_back) in [("port", &works as &dyn Fn() -> bool), ("name", &named)] {
            while !is_back() {
                assert!(killed.elapsed() < Duration::from_secs(30), "no {what} after {words:?}");
                thread::sleep(Duration::from_millis(20));
            }
        }
        killed.elapsed()
    };
    for words in [&["network-service"][..], &["network-door"], &["network-service", "network-door"]]
    {
        // One of a few: the host may be busy with something else.
        let mut outages = (0..5).map(|_| outage(words));
        assert!(outages.any(|took| took < Duration::from_secs(2)), "{words:?} take too long");
        let run = ["run", "--rm", "--network", "bridge", &image];
        home.hull(&[&run[..], &["ping", "-c", "1", "-W", "5", "web"]].concat()).success();
        answers(words[0]);
    }
    // Nothing of it is the daemon's.
    hull_tests::kill(home.daemon_pid());
    assert!(works(), "no port without a daemon");
    answers("last");
}

#[test]
fn containers_that_come_and_go_leave_nothing() {
    let (_registry, home, image) = Home::with_busybox();
    let cycles: usize = std::env::var("HULL_TEST_RUNS").map_or(3, |text| text.parse().unwrap());
    idle(&home, &image, "stays", "bridge", &["-p", "127.0.0.1::80"]);
    let service = home.pids("network-service");
    let descriptors = || {
        let of = |pid: &u32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        service.iter().map(of).collect::<Vec<_>>()
    };
    let cycle = || {
        home.hull(&["network", "create", "--ipv6", "fleeting"]).success();
        let run = ["run", "--rm", "--network", "fleeting", "-p", "127.0.0.1::81", &image, "true"];
        home.hull(&run).success();
        idle(&home, &image, "fleeting", "fleeting", &["-p", "127.0.0.1::81/udp"]);
        home.hull(&["network", "connect", "bridge", "fleeting"]).success();
        home.hull(&["rm", "-f", "fleeting"]).success();
        home.hull(&["network", "rm", "fleeting"]).success();
    };
    cycle();
    let links = || links(home.path());
    eventually("only the bridge and tap of one are there", || links().len() == 2);
    // Of containers: machines that wait are replaced as they are used.
    let stays = home.hull(&["inspect", "-f", "{{.ID}}", "stays"]).success();
    let is_of_others = |line: &str| {
        let waits = ["--wait", "-name hull-pool", "-name hull-ready"];
        let is_machine = line.contains("-name hull-") || line.contains(" supervisor ");
        is_machine && !line.contains(&stays[..12]) && !waits.iter().any(|word| line.contains(word))
    };
    let processes = || {
        let found = home.processes().into_iter();
        found.filter(|(_, line)| is_of_others(line)).collect::<Vec<_>>()
    };
    let (first, open) = (links(), descriptors());
    for _ in 0..cycles {
        cycle();
    }
    eventually_none("no tap or bridge is left", || {
        links().into_iter().filter(|link| !first.contains(link)).collect::<Vec<_>>()
    });
    eventually("no descriptor of the service is left", || descriptors() == open);
    eventually_none("no process is left", processes);
    eventually_none("nothing of a container is left on the disk", || {
        let found = fs::read_dir(home.path().join("containers")).unwrap().flatten();
        let found = found.map(|entry| entry.file_name().to_string_lossy().into_owned());
        found.filter(|name| *name != stays).collect::<Vec<_>>()
    });
    // The lowest addresses are free again.
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let taken = home.hull(&["inspect", "-f", format, "stays"]).success();
    idle(&home, &image, "next", "bridge", &[]);
    let next = home.hull(&["inspect", "-f", format, "next"]).success();
    let last = |text: &str| text.rsplit('.').next().unwrap().parse::<u8>().unwrap();
    assert_eq!(last(&next), last(&taken) + 1);
}

#[test]
fn a_new_container_finds_the_networks_of_those_whose_service_has_gone() {
    let (_registry, home, image) = Home::with_busybox();
    idle(&home, &image, "old", "bridge", &[]);
    let supervisor = home.state("old")["supervisor_pid"].as_u64().expect("a pid");
    let supervisor = Pid::from_raw(supervisor as i32).unwrap();
    // It does not come to say which network namespace it is in.
    kill_process(supervisor, Signal::STOP).unwrap();
    for word in ["network-service", "network-door"] {
        home.pids(word).into_iter().for_each(hull_tests::kill);
    }
    idle(&home, &image, "new", "bridge", &[]);
    kill_process(supervisor, Signal::CONT).unwrap();
    eventually("they reach each other", || {
        sh(&home, "new", "ping -c 1 -W 1 old").contains("1 packets received")
    });
}

#[test]
fn changes_are_made_by_the_next_service_if_one_dies_over_them() {
    let (_registry, home, image) = Home::with_busybox();
    idle(&home, &image, "box", "bridge", &[]);
    home.hull(&["network", "create", "side"]).success();
    for _ in 0..4 {
        for (change, interfaces) in [("connect", "3"), ("disconnect", "2")] {
            home.pids("network-service").into_iter().for_each(hull_tests::kill);
            home.hull(&["network", change, "side", "box"]).success();
            assert_eq!(sh(&home, "box", "ls /sys/class/net | wc -l"), interfaces);
        }
    }
}
