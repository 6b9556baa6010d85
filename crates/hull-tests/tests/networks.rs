//! Networks: addresses, names, isolation, ports, and what is left when processes are killed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hull_tests::Home;
use rustix::process::{Pid, Signal, kill_process};

/// A container that does nothing, and is called `name` in `network`.
fn idle(home: &Home, image: &str, name: &str, network: &str, more: &[&str]) {
    let mut arguments = vec!["run", "-d", "--name", name, "--network", network];
    arguments.extend(more);
    arguments.extend([image, "sleep", "600"]);
    home.hull(&arguments).success();
}

fn address(home: &Home, container: &str, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    home.hull(&["inspect", "-f", &format, container]).success()
}

/// Runs a shell line in a container and returns what it printed, errors and all.
fn sh(home: &Home, container: &str, line: &str) -> String {
    home.hull(&["exec", container, "sh", "-c", &format!("({line}) 2>&1")]).text()
}

#[test]
fn containers_reach_each_other_by_name_and_only_in_their_networks() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["network", "create", "one"]).success();
    home.hull(&["network", "create", "--internal", "--subnet", "10.98.0.0/24", "two"]).success();
    idle(&home, &image, "aa", "one", &["--network-alias", "shared"]);
    idle(&home, &image, "bb", "one", &["--network-alias", "shared"]);
    idle(&home, &image, "cc", "two", &["--ip", "10.98.0.77"]);
    assert_eq!(address(&home, "cc", "two"), "10.98.0.77");
    let (first, second) = (address(&home, "aa", "one"), address(&home, "bb", "one"));

    let seen = sh(&home, "aa", "ping -c 1 -W 5 bb; cat /etc/hosts; nslookup shared; ip route");
    assert!(seen.contains("1 packets received"), "{seen}");
    assert!(seen.contains(&format!("{first}\t")), "its own address in /etc/hosts: {seen}");
    assert!(seen.contains(&first) && seen.contains(&second), "both have the alias: {seen}");
    assert!(seen.contains("default via"), "{seen}");
    // The name of an address, an identifier, and an answer over TCP would be long to ask for here:
    // the unit tests of the server have them.
    let seen = sh(&home, "bb", &format!("nslookup {first}"));
    assert!(seen.contains("name = aa"), "{seen}");

    let seen = sh(&home, "cc", &format!("ping -c 1 -W 1 {first}; nslookup aa; ip route"));
    assert!(seen.contains("Network is unreachable"), "{seen}");
    assert!(seen.contains("NXDOMAIN"), "{seen}");
    // Even with a route of its own.
    let seen = home
        .hull(&[
            "run",
            "--rm",
            "--network",
            "two",
            "--cap-add",
            "NET_ADMIN",
            &image,
            "sh",
            "-c",
            &format!("ip route add default via 10.98.0.1; ping -c 1 -W 2 {first} || true"),
        ])
        .success();
    assert!(seen.contains("100% packet loss"), "{seen}");

    // Names go with their containers.
    home.hull(&["rm", "-f", "bb"]).success();
    let seen = sh(&home, "aa", "nslookup bb; nslookup shared");
    assert!(seen.contains("find bb: ") && !seen.contains(&second), "{seen}");
    home.hull(&["network", "rm", "one"]);
    let failed = home.hull(&["network", "rm", "one"]);
    assert_eq!(failed.code, 1);
    assert!(failed.errors().contains("has active endpoints"), "{}", failed.errors());
    home.hull(&["rm", "-f", "aa", "cc"]).success();
    home.hull(&["network", "rm", "one", "two"]).success();
}

#[test]
fn nobody_takes_the_address_of_another() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["network", "create", "--subnet", "10.97.0.0/24", "net"]).success();
    idle(&home, &image, "victim", "net", &["--ip", "10.97.0.9"]);
    let attack = "ip addr add 10.97.0.50/24 dev eth0; \
                  ping -c 1 -W 5 10.97.0.9 >/dev/null && echo own address works; \
                  ping -c 1 -W 1 -I 10.97.0.50 10.97.0.9 >/dev/null || echo other address fails; \
                  arping -c 1 -w 1 -U -s 10.97.0.9 -I eth0 10.97.0.1 >/dev/null 2>&1; \
                  ip link set eth0 down; ip link set eth0 address 02:42:0a:61:00:09; \
                  ip link set eth0 up; ip route add 10.97.0.0/24 dev eth0 2>/dev/null; \
                  ping -c 1 -W 1 10.97.0.9 >/dev/null || echo other hardware address fails";
    let seen = home
        .hull(&[
            "run",
            "--rm",
            "--network",
            "net",
            "--cap-add",
            "NET_ADMIN",
            &image,
            "sh",
            "-c",
            attack,
        ])
        .success();
    for line in ["own address works", "other address fails", "other hardware address fails"] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    let seen = sh(&home, "victim", "ping -c 1 -W 5 10.97.0.1");
    assert!(seen.contains("1 packets received"), "{seen}");
}

#[test]
fn published_ports() {
    let (_registry, home, image) = Home::with_busybox();
    let server = "mkdir /www; echo hello > /www/index.html; httpd -p 80 -h /www; \
                  while true; do nc -l -p 81 -e cat; done";
    let run = |name: &str, ports: &[&str]| {
        let mut arguments = vec!["run", "-d", "--name", name];
        arguments.extend(ports);
        arguments.extend([&*image, "sh", "-c", server]);
        home.hull(&arguments)
    };
    run("web", &["-p", "127.0.0.1::80", "-p", "127.0.0.1::81", "--expose", "9/udp"]).success();
    let shown = home.hull(&["port", "web"]).success();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("80/tcp -> 127.0.0.1:"), "{shown}");
    let of = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
    let (http, echo) = (of(lines[0]), of(lines[1]));
    assert_eq!(home.hull(&["port", "web", "80"]).success(), http);
    let row = home.hull(&["ps", "--format", "{{.Ports}}"]).success();
    assert!(row.contains(&format!("{http}->80/tcp")) && row.contains("9/udp"), "{row}");

    // Whatever the server's first connection waits for.
    let fetch = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&http)?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fetch().is_ok_and(|text| text.ends_with("hello\n")) {
        assert!(Instant::now() < deadline, "no answer through {http}");
        thread::sleep(Duration::from_millis(50));
    }
    // Half-closed: what is on its way arrives, both ways.
    let sent: Vec<u8> = (0..2_000_000_u32).map(|number| number as u8).collect();
    let mut stream = TcpStream::connect(&echo).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let data = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&data).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    writing.join().unwrap();
    assert!(received == sent, "{} of {} bytes came back", received.len(), sent.len());

    // A port that is taken is an error before the container runs, and nothing of it stays.
    let taken = run("late", &["-p", "127.0.0.1::82", "-p", &format!("{http}:80")]);
    assert_eq!(taken.code, 125);
    assert!(taken.errors().contains("port is already allocated"), "{}", taken.errors());
    assert_eq!(home.hull(&["inspect", "-f", "{{.State.Status}}", "late"]).success(), "created");
}

#[test]
fn networks_survive_the_death_of_their_processes() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["run", "-d", "--name", "web", "-p", "127.0.0.1::80", &image, "httpd", "-f"])
        .success();
    idle(&home, &image, "other", "bridge", &[]);
    let port = home.hull(&["port", "web", "80"]).success();
    // One that lives on through all that follows: it is between containers.
    let talk = "nc -l -p 7 -e cat & sleep 1; (sleep 20; echo end) | nc 127.0.0.1 7";
    home.hull(&["exec", "-d", "other", "sh", "-c", talk]).success();
    let kill = |word: &str| {
        let pids = home.pids(word);
        assert!(!pids.is_empty(), "no {word}");
        for pid in pids {
            kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
        }
    };
    let works = || {
        TcpStream::connect(&port).is_ok_and(|mut stream| {
            let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
            let mut text = String::new();
            stream.read_to_string(&mut text).is_ok() && text.starts_with("HTTP/1.")
        })
    };
    let named = || sh(&home, "other", "ping -c 1 -W 1 web").contains("1 packets received");
    for words in [&["network-service"][..], &["network-door"], &["network-service", "network-door"]]
    {
        words.iter().for_each(|word| kill(word));
        let killed = Instant::now();
        while !works() {
            assert!(killed.elapsed() < Duration::from_secs(10), "no port after {words:?}");
            thread::sleep(Duration::from_millis(20));
        }
        let took = killed.elapsed();
        assert!(named(), "no name after {words:?}");
        // Generous: other tests run beside this one.
        assert!(took < Duration::from_secs(5), "{words:?} took {took:?}");
        let run = ["run", "--rm", "--network", "bridge", &image];
        home.hull(&[&run[..], &["ping", "-c", "1", "-W", "5", "web"]].concat()).success();
    }
}

#[test]
fn networks_are_connected_and_disconnected_while_containers_run() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["network", "create", "side"]).success();
    idle(&home, &image, "aa", "bridge", &[]);
    idle(&home, &image, "bb", "side", &[]);
    assert!(sh(&home, "aa", "nslookup bb").contains("NXDOMAIN"));
    for _ in 0..3 {
        home.hull(&["network", "connect", "--alias", "friend", "side", "aa"]).success();
        let seen = sh(&home, "aa", "ping -c 1 -W 5 bb; ls /sys/class/net");
        assert!(seen.contains("1 packets received") && seen.contains("eth1"), "{seen}");
        assert!(sh(&home, "bb", "ping -c 1 -W 5 friend").contains("1 packets received"));
        let shown = home.hull(&["network", "inspect", "-f", "{{len .Containers}}", "side"]);
        assert_eq!(shown.success(), "2");
        home.hull(&["network", "disconnect", "side", "aa"]).success();
        let seen = sh(&home, "aa", "nslookup bb; ls /sys/class/net");
        assert!(seen.contains("NXDOMAIN") && !seen.contains("eth1"), "{seen}");
    }
    let again = home.hull(&["network", "disconnect", "side", "aa"]);
    assert!(again.errors().contains("is not connected to network side"), "{}", again.errors());
}
