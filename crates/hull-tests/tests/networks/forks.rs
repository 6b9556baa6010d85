//! Children of a container with networks, and machines that have an interface before their container.

use hull_tests::{Home, eventually};

use super::{address, sh};

/// Tells its host name to everybody who asks at port 80.
const SERVER: [&str; 4] = ["httpd", "-f", "-h", "/etc"];

/// Returns what the server of `name` says to a new container in `lan`.
fn asked(home: &Home, image: &str, name: &str) -> String {
    let url = format!("http://{name}/hostname");
    home.hull(&["run", "--rm", "--network", "lan", image, "wget", "-q", "-O", "-", &url]).success()
}

#[test]
fn children_have_addresses_names_and_ports_of_their_own() {
    let (_registry, home, image) = Home::with_busybox();
    for network in ["lan", "late"] {
        home.hull(&["network", "create", network]).success();
    }
    let flags = ["--name", "source", "--network", "lan", "--network-alias", "all"];
    let run = [&["run", "-d", "-p", "127.0.0.1::80"], &flags[..], &[&image], &SERVER];
    home.hull(&run.concat()).success();
    home.hull(&["network", "connect", "late", "source"]).success();
    let ids = home.hull(&["fork", "-n", "2", "--name", "kid", "source"]).success();
    assert_eq!(ids.lines().count(), 2);

    let all = ["source", "kid-1", "kid-2"];
    let mut addresses = Vec::new();
    for name in all {
        for (network, interface) in [("lan", "eth0"), ("late", "eth1")] {
            let address = address(&home, name, network);
            let line = sh(&home, name, &format!("ip -o -4 addr show {interface}"));
            assert!(line.contains(&format!(" {address}/")), "{name} {network} {address}: {line}");
            let mac = sh(&home, name, &format!("cat /sys/class/net/{interface}/address"));
            addresses.push(address);
            addresses.push(mac);
        }
        assert!(sh(&home, name, "ip route").starts_with("default via "), "{name}");
    }
    let count = addresses.len();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), count, "{addresses:?}");

    // Each answers under its own name, and from the other's network under none.
    for name in all {
        let id = home.hull(&["inspect", "-f", "{{.Id}}", name]).success();
        assert_eq!(asked(&home, &image, name).trim(), &id[..12], "{name}");
    }
    let found = sh(&home, "kid-1", "nslookup all");
    for name in all {
        assert!(found.contains(&address(&home, name, "lan")), "{name}: {found}");
    }
    let mut ports: Vec<_> =
        all.iter().map(|name| home.hull(&["port", name, "80"]).success()).collect();
    ports.dedup();
    assert_eq!(ports.len(), 3, "{ports:?}");

    // What a child has of its networks is its own to lose and to get.
    home.hull(&["network", "disconnect", "late", "kid-1"]).success();
    eventually("it is gone", || !sh(&home, "kid-1", "ip -o link").contains("eth1"));
    assert!(sh(&home, "source", "ip -o link").contains("eth1"));
    home.hull(&["network", "connect", "late", "kid-1"]).success();
    eventually("it is back", || {
        sh(&home, "kid-1", "ip -o -4 addr").contains(&address(&home, "kid-1", "late"))
    });
    home.hull(&["rm", "-f", "source", "kid-1", "kid-2"]).success();
}

#[test]
fn a_container_has_the_default_network_or_none_and_nothing_else() {
    let (_registry, home, image) = Home::with_busybox();
    // The pool's machine is there for the later ones.
    for _ in 0..3 {
        let links = "ls /sys/class/net; ip route | wc -l";
        let on = home.hull(&["run", "--rm", &image, "sh", "-c", links]).success();
        assert_eq!(on, "eth0\nlo\n2");
        let off = ["run", "--rm", "--network", "none", &image, "sh", "-c", links];
        assert_eq!(home.hull(&off).success(), "lo\n0");
    }
}
