//! Two daemons of one ordinary user, which have the same names, subnets and all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hull_tests::{Home, Image, eventually, kill};

use crate::{address, idle, is_served, sh};

const IMAGE: &str = "busybox";

/// A web server that says `word`, and a container that looks for it; returns the server's address
/// on the host.
fn serve(home: &Home, word: &str, port: &str) -> String {
    let page = format!("mkdir /www; echo {word} > /www/index.html; httpd -f -h /www");
    let run = ["run", "-d", "--name", "web", "--network", "net", "-p", port, IMAGE, "sh", "-c"];
    home.hull(&[&run[..], &[&page]].concat()).success();
    let shown = home.hull(&["port", "web", "80"]).success();
    eventually("the web server answers", || is_served(&shown));
    shown
}

fn fetch(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a published port");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a connection");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text.trim_end().rsplit('\n').next().unwrap_or_default().to_owned()
}

fn by_name(home: &Home, name: &str) -> String {
    sh(home, "client", &format!("timeout 10 wget -q -O - http://{name}/ || echo none"))
}

#[test]
fn two_daemons_of_one_user_know_nothing_of_each_other() {
    let [first, second] = [(); 2].map(|()| Home::of_ordinary_user(&[]));
    let both = [(&first, "one"), (&second, "two")];
    let ports = both.map(|(home, word)| {
        home.load(Image::Busybox);
        home.hull(&["network", "create", "--subnet", "10.96.0.0/24", "net"]).success();
        let port = serve(home, word, "127.0.0.1::80");
        idle(home, IMAGE, "client", "net", &[]);
        port
    });
    idle(&first, IMAGE, "alone", "net", &[]);
    assert_eq!(address(&first, "web", "net"), address(&second, "web", "net"));
    for ((home, word), port) in both.iter().zip(&ports) {
        assert_eq!(fetch(port), *word);
        assert_eq!(by_name(home, "web"), *word);
    }
    assert!(sh(&first, "client", "ping -c 1 -W 5 alone").contains("1 packets received"));
    let unknown = sh(&second, "client", "ping -c 1 -W 5 alone");
    assert!(unknown.contains("bad address"), "{unknown}");

    // What one has on the host the other cannot have.
    let taken = format!("{}:80", ports[0]);
    let run =
        ["run", "-d", "--name", "late", "--network", "net", "-p", &taken, IMAGE, "sleep", "9"];
    let refused = second.hull(&run);
    assert_eq!(refused.code, 125);
    let why = format!("Bind for {} failed: port is already allocated", ports[0]);
    assert!(refused.errors().contains(&why), "{}", refused.errors());
    second.hull(&["rm", "late"]).success();

    // Whatever ends of the first, nothing of the second does, nor a connection through it.
    let mut stream = TcpStream::connect(&ports[1]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n").unwrap();
    let of_second = || ["network-service", "daemon --announce"].map(|word| second.pids(word));
    let before = of_second();
    for word in ["network-service", "network-door", "daemon --announce", "pasta"] {
        let pids = first.pids(word);
        assert!(!pids.is_empty(), "no {word}");
        pids.into_iter().for_each(kill);
        assert_eq!((fetch(&ports[1]), by_name(&second, "web")), ("two".into(), "two".into()));
        eventually("the port of the first is back", || is_served(&ports[0]));
    }
    eventually("names of the first are back", || by_name(&first, "web") == "one");
    assert_eq!(of_second(), before);
    stream.write_all(b"\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("two\n"), "{text}");

    // Nor when all of the first goes; then its port is anybody's.
    drop(first);
    assert_eq!(of_second(), before);
    assert_eq!(by_name(&second, "web"), "two");
    second.hull(&["create", "--name", "heir", "--network", "net", "-p", &taken, IMAGE]).success();
    // A client of another test may have it for a moment.
    eventually("the port is free", || second.hull(&["start", "heir"]).code == 0);
}
