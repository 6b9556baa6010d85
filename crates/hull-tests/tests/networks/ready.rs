//! Machines that wait have an interface ready, for the containers that have a network.

use hull_tests::{Home, Image, eventually};

use crate::{idle, sh};

#[test]
fn an_interface_that_waits_is_for_those_who_have_a_network() {
    let home = Home::new();
    home.load(Image::Busybox);
    let look = "echo /sys/class/net/*; sed -n '3,$s/:.*//p' /proc/net/dev | xargs echo; \
                cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ping -c 1 127.0.0.1 | grep -c ttl=";
    let run = |name: &str, more: &[&str]| {
        let run = [&["run", "--name", name], more, &["busybox", "sh", "-c", look]].concat();
        let seen = home.hull(&run).success();
        let (mode, _) = home.origin(name);
        home.hull(&["rm", name]).success();
        (mode, seen)
    };
    run("first", &["--network", "none"]);
    let pooled = |more: &[&str], seen: &str| {
        eventually("a start is that of a machine that waited", || {
            let (mode, shown) = run("box", more);
            assert_eq!(shown, seen, "{mode} {more:?}");
            mode == "pool"
        });
    };
    pooled(&["--network", "none"], "/sys/class/net/lo\nlo\n0\n1");
    let port = "net.ipv4.ip_unprivileged_port_start=99";
    pooled(&["--network", "none", "--sysctl", port], "/sys/class/net/lo\nlo\n99\n1");
    pooled(&[], "/sys/class/net/eth0 /sys/class/net/lo\nlo eth0\n0\n1");

    // It can still be given networks.
    home.hull(&["network", "create", "--ipv6", "--subnet", "10.96.0.0/24", "net"]).success();
    idle(&home, "busybox", "box", "none", &[]);
    home.hull(&["network", "disconnect", "none", "box"]).success();
    for network in ["net", "bridge"] {
        home.hull(&["network", "connect", network, "box"]).success();
        let gateway = format!("{{{{.NetworkSettings.Networks.{network}.Gateway}}}}");
        let gateway = home.hull(&["inspect", "-f", &gateway, "box"]).success();
        let ping = format!("ping -c 1 -W 5 {gateway}");
        assert!(sh(&home, "box", &ping).contains("1 packets received"), "{network}");
    }
    let seen = sh(&home, "box", "ip -o address | sed 's/^[0-9]*: //; s/ .*//' | sort -u");
    assert_eq!(seen, "eth0\neth1\nlo");
    home.hull(&["network", "disconnect", "net", "box"]).success();
    assert!(!sh(&home, "box", "ip route").contains("10.96."));
}

#[test]
fn an_interface_has_a_carrier_from_the_start() {
    let home = Home::new();
    home.load(Image::Busybox);
    for _ in 0..4 {
        let state = ["run", "--rm", "busybox", "cat", "/sys/class/net/eth0/operstate"];
        assert_eq!(home.hull(&state).success(), "up");
    }
}
