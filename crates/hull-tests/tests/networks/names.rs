//! Names and addresses, and networks that come and go.

use hull_tests::{Home, Image, eventually};

use crate::{address, idle, sh};

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
fn networks_are_connected_and_disconnected_while_containers_run() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["network", "create", "side"]).success();
    idle(&home, &image, "aa", "bridge", &[]);
    idle(&home, &image, "bb", "side", &[]);
    assert!(sh(&home, "aa", "nslookup bb").contains("NXDOMAIN"));
    // As in Docker, a number is not used again while the container runs.
    for name in ["eth1", "eth2", "eth3"] {
        home.hull(&["network", "connect", "--alias", "friend", "side", "aa"]).success();
        let seen = sh(&home, "aa", "ping -c 1 -W 5 bb; ls /sys/class/net");
        assert!(seen.contains("1 packets received") && seen.contains(name), "{seen}");
        assert!(sh(&home, "bb", "ping -c 1 -W 5 friend").contains("1 packets received"));
        let shown = home.hull(&["network", "inspect", "-f", "{{len .Containers}}", "side"]);
        assert_eq!(shown.success(), "2");
        home.hull(&["network", "disconnect", "side", "aa"]).success();
        let seen = sh(&home, "aa", "nslookup bb; ls /sys/class/net");
        assert!(seen.contains("NXDOMAIN") && !seen.contains(name), "{seen}");
    }
    let again = home.hull(&["network", "disconnect", "side", "aa"]);
    assert!(again.errors().contains("is not connected to network side"), "{}", again.errors());
}

/// A resolver that knows one name.
const RESOLVER: &str = r#"
import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 53))
while True:
    data, client = udp.recvfrom(512)
    known = b"\x09elsewhere\x07example\x00\x00\x01\x00\x01" in data
    question = data[12:data.index(b"\x00", 12) + 5]
    answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x0a\x01\x02\x03" if known else b""
    head = data[:2] + (b"\x81\x80" if known else b"\x81\x83")
    head += b"\x00\x01\x00" + bytes([known]) + b"\x00\x00\x00\x00"
    udp.sendto(head + question + answer, client)
"#;

#[test]
fn resolvers_that_a_container_asks_for_know_other_names() {
    let home = Home::new();
    home.load(Image::Busybox);
    home.load(Image::Python);
    home.hull(&["network", "create", "net"]).success();
    let run = ["run", "-d", "--name", "resolver", "--network", "net", "python", "python3", "-c"];
    home.hull(&[&run[..], &[RESOLVER]].concat()).success();
    let resolver = address(&home, "resolver", "net");
    idle(&home, "busybox", "aa", "net", &["--dns", &resolver]);
    let known = || sh(&home, "aa", "nslookup -type=a elsewhere.example").contains("10.1.2.3");
    eventually("the resolver is asked", known);
    let seen = sh(&home, "aa", "nslookup -type=a resolver; nslookup -type=a nowhere.example");
    assert!(seen.contains(&format!("Address: {resolver}\n")), "names are known still: {seen}");
    assert!(seen.contains("find nowhere.example: NXDOMAIN"), "{seen}");
}
