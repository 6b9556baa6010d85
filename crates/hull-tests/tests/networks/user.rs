//! An ordinary user has networks as root has them, and nobody is in another's way.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use hull_tests::{Home, Image, eventually, kill, skip};

use crate::{address, idle, is_served, sh};

const IMAGE: &str = "busybox";

/// Returns an address of this host that is not a loopback one.
fn outside() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then(|| address.to_string())
}

/// Answers one connection after the other for as long as the test runs.
fn serve_outside(address: &str) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("an address of this host");
    let port = listener.local_addr().expect("a bound socket").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\noutside\n");
        }
    });
    port
}

#[test]
fn an_ordinary_user_and_root_side_by_side() {
    let user = Home::of_ordinary_user(&[]);
    let root = Home::new();
    for home in [&user, &root] {
        home.load(Image::Busybox);
        // The same names, subnets and all.
        home.hull(&["network", "create", "--subnet", "10.95.0.0/24", "net"]).success();
        idle(home, IMAGE, "bb", "net", &["--ip", "10.95.0.9"]);
        home.hull(&[
            "run",
            "-d",
            "--name",
            "aa",
            "--network",
            "net",
            "-p",
            "127.0.0.1::80",
            IMAGE,
            "httpd",
            "-f",
            "-h",
            "/etc",
        ])
        .success();
    }
    for home in [&user, &root] {
        let port = home.hull(&["port", "aa", "80"]).success();
        eventually("the published port answers", || is_served(&port));
        assert!(sh(home, "bb", "ping -c 1 -W 5 aa").contains("1 packets received"));
        home.hull(&["network", "create", "--ipv6", "side"]).success();
        home.hull(&["network", "connect", "--alias", "friend", "side", "aa"]).success();
        idle(home, IMAGE, "cc", "side", &[]);
        let seen = sh(home, "cc", "ping -6 -c 1 -W 5 friend");
        assert!(seen.contains("1 packets received"), "{seen}");
        home.hull(&["network", "disconnect", "side", "aa"]).success();
        for word in ["network-service", "network-door"] {
            home.pids(word).into_iter().for_each(kill);
        }
        eventually("the published port answers again", || is_served(&port));
        assert!(sh(home, "bb", "ping -c 1 -W 5 aa").contains("1 packets received"));
    }
    let Some(host) = outside() else {
        return skip("this host has no address that containers could reach");
    };
    let port = serve_outside(&host);
    for home in [&user, &root] {
        let fetch = format!("timeout 10 wget -q -O - http://host.docker.internal:{port}/");
        assert_eq!(sh(home, "bb", &fetch), "outside");
        let local = serve_outside("127.0.0.1");
        // Neither the host's loopback nor the namespace's own.
        for target in ["127.0.0.1", "169.254.254.1", "169.254.254.2", "10.95.0.1"] {
            let fetch = format!("timeout 2 wget -q -O - http://{target}:{local}/ || echo none");
            assert!(sh(home, "bb", &fetch).ends_with("none"), "{target}");
        }
        home.pids("pasta").into_iter().for_each(kill);
        eventually("the way out is back", || sh(home, "bb", &fetch) == "outside");
    }
    assert_eq!(address(&user, "bb", "net"), address(&root, "bb", "net"));
}

#[test]
fn slirp4netns_is_a_way_out_where_there_is_no_pasta() {
    if !std::path::Path::new("/usr/bin/slirp4netns").exists() {
        return skip("slirp4netns is not installed");
    }
    if !rustix::process::geteuid().is_root() {
        return skip("only root can hide pasta from a test");
    }
    let Some(host) = outside() else {
        return skip("this host has no address that containers could reach");
    };
    let port = serve_outside(&host);
    let home = Home::of_ordinary_user(&["/usr/bin/pasta", "/usr/local/bin/pasta"]);
    home.load(Image::Busybox);
    home.hull(&["network", "create", "net"]).success();
    idle(&home, IMAGE, "aa", "net", &[]);
    let fetch = format!("timeout 10 wget -q -O - http://{host}:{port}/");
    eventually("there is a way out", || sh(&home, "aa", &fetch) == "outside");
    assert!(home.pids("pasta").is_empty());
    let local = serve_outside("127.0.0.1");
    for target in ["169.254.254.2", "127.0.0.1"] {
        let fetch = format!("timeout 2 wget -q -O - http://{target}:{local}/ || echo none");
        assert!(sh(&home, "aa", &fetch).ends_with("none"), "{target}");
    }
}
