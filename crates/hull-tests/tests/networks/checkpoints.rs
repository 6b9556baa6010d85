//! Containers with networks that go on from a checkpoint.

use hull_tests::{Home, eventually, eventually_none, kill};

use super::{address, is_served, sh};

/// Serves `/www`, and keeps a connection with `peer` whose end it notes in `/www/end`.
const PROGRAM: &str = "\
mkdir /www; cd /www; echo warm > index.html; httpd -p 80 -h /www
mkfifo /in; sleep 100000 > /in & nc peer 9 < /in; echo $? > end; sleep 100000";

#[test]
fn a_container_is_on_its_networks_again() {
    let (_registry, home, image) = Home::with_busybox();
    for network in ["lan", "late", "new"] {
        home.hull(&["network", "create", network]).success();
    }
    let peer = "nc -l -p 9 -e sleep 100000; sleep 100000";
    let run = ["run", "-d", "--network", "lan", "--name"];
    home.hull(&[&run[..], &["peer", &image, "sh", "-c", peer]].concat()).success();
    let web = ["web", "-p", "127.0.0.1::80", "--mac-address", "02:42:00:00:00:77", &image];
    home.hull(&[&run[..], &web, &["sh", "-c", PROGRAM]].concat()).success();
    home.hull(&["network", "connect", "late", "web"]).success();
    let served = || is_served(&home.hull(&["port", "web", "80"]).success());
    eventually("it serves", served);
    let connected = |name: &str| sh(&home, name, "netstat -tn").contains("ESTABLISHED");
    eventually("it is connected", || connected("web") && connected("peer"));
    let links = || sh(&home, "web", "ip -o -4 addr; cat /sys/class/net/eth*/address; ip route");
    let before = links();
    let addresses = ["lan", "late"].map(|network| address(&home, "web", network));

    home.hull(&["checkpoint", "create", "--leave-running", "web", "one"]).success();
    // The connection is the running container's.
    assert!(connected("web") && sh(&home, "web", "ls /www") == "index.html");
    home.hull(&["checkpoint", "create", "web", "two"]).success();
    assert_eq!(home.hull(&["wait", "web"]).success(), "137");

    // As after a power cut: nothing is left but what is on disk.
    eventually_none("processes", || {
        let left = home.processes();
        left.iter().for_each(|(pid, _)| kill(*pid));
        left
    });
    for name in ["two", "one", "two"] {
        home.hull(&["start", "--checkpoint", name, "web"]).success();
        assert_eq!(links(), before);
        let now = ["lan", "late"].map(|network| address(&home, "web", network));
        assert_eq!(now, addresses);
        eventually("it serves again", served);
        eventually("its connection has ended", || {
            sh(&home, "web", "test -s /www/end && echo ended") == "ended" && !connected("web")
        });
        home.hull(&["start", "peer"]).success();
        let fetch = "wget -q -O - http://web/; ping -c 1 -w 10 web > /dev/null && echo reached";
        assert_eq!(sh(&home, "peer", fetch), "warm\nreached");
        home.hull(&["stop", "-t", "0", "web"]).success();
    }

    // What was changed meanwhile holds: one network has gone, another one is new, and gets a number
    // that was not in use.
    home.hull(&["network", "disconnect", "lan", "web"]).success();
    home.hull(&["network", "connect", "new", "web"]).success();
    home.hull(&["start", "--checkpoint", "two", "web"]).success();
    let shown = sh(&home, "web", "ip -o -4 addr");
    for (network, interface) in [("new", "eth2"), ("late", "eth1")] {
        let address = address(&home, "web", network);
        let line = shown.lines().find(|line| line.contains(&format!(" {interface} ")));
        assert!(line.is_some_and(|line| line.contains(&format!(" {address}/"))), "{shown}");
    }
    home.hull(&["fork", "--name", "kid", "web"]).success();
    assert!(sh(&home, "kid", "ip -o -4 addr").contains(&address(&home, "kid", "new")));
    home.hull(&["stop", "-t", "0", "web"]).success();
    for network in ["new", "late"] {
        home.hull(&["network", "disconnect", network, "web"]).success();
    }
    home.hull(&["start", "--checkpoint", "two", "web"]).success();
    assert_eq!(sh(&home, "web", "ls /sys/class/net"), "lo");
    home.hull(&["rm", "-f", "web", "kid", "peer"]).success();
}

#[test]
fn an_address_that_was_given_away_is_exchanged() {
    let (_registry, home, image) = Home::with_busybox();
    let run = ["run", "-d", "--name", "web", &image, "sh", "-c", PROGRAM];
    home.hull(&run).success();
    let before = address(&home, "web", "bridge");
    home.hull(&["checkpoint", "create", "web", "one"]).success();
    // The daemon that knew whose the address was has gone; another container takes it.
    let saved =
        home.path().join("containers").join(home.hull(&["ps", "-aq", "--no-trunc"]).success());
    home.hull(&["system", "stop"]).success();
    std::fs::remove_file(saved.join("networks.json")).unwrap();
    super::idle(&home, &image, "other", "bridge", &[]);
    assert_eq!(address(&home, "other", "bridge"), before);
    home.hull(&["start", "--checkpoint", "one", "web"]).success();
    let now = address(&home, "web", "bridge");
    assert_ne!(now, before);
    let shown = sh(&home, "web", "ip -o -4 addr show eth0; cat /etc/hosts");
    assert!(shown.contains(&format!(" {now}/")) && !shown.contains(&before), "{shown}");
    assert!(sh(&home, "other", &format!("ping -c 1 -w 10 {now}")).contains(" 0% packet loss"));
    home.hull(&["rm", "-f", "web", "other"]).success();
}
