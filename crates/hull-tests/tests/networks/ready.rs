//! Machines that wait have an interface ready, for the containers that have a network.

use hull_tests::{Home, Image, eventually};

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
