//! Who reaches whom: containers each other, and the host all of them through its proxy.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use hull_tests::{Home, Image, eventually};

use crate::{address, idle};

#[test]
fn those_who_share_a_network_connect_and_nobody_else() {
    let (_registry, home, image) = Home::with_busybox();
    let (containers, networks) = (6, 3);
    for network in 0..networks {
        home.hull(&["network", "create", &format!("net{network}")]).success();
    }
    // Each is in one network, and every third one in the next one, too.
    let of = |number: usize| {
        let mut member = vec![number % networks];
        if number.is_multiple_of(3) {
            member.push((number + 1) % networks);
        }
        member
    };
    for number in 0..containers {
        let first = format!("net{}", of(number)[0]);
        idle(&home, &image, &format!("box{number}"), &first, &[]);
        for network in &of(number)[1..] {
            let (network, name) = (format!("net{network}"), format!("box{number}"));
            home.hull(&["network", "connect", &network, &name]).success();
        }
        let serve = ["exec", "-d", &format!("box{number}"), "httpd", "-f", "-h", "/etc"];
        home.hull(&serve).success();
    }
    let addresses: Vec<Vec<String>> = (0..containers)
        .map(|number| {
            let name = format!("box{number}");
            let all = of(number).into_iter();
            all.map(|network| address(&home, &name, &format!("net{network}"))).collect()
        })
        .collect();
    for number in 0..containers {
        let mut line = String::new();
        for (other, addresses) in addresses.iter().enumerate() {
            line.push_str(&format!(
                "timeout 5 wget -q -O - http://box{other}/hostname >/dev/null 2>&1 && echo name {other};"
            ));
            for (place, address) in addresses.iter().enumerate() {
                // Those that must not answer do not at once.
                line.push_str(&format!(
                    "nc -w 1 {address} 80 </dev/null >/dev/null 2>&1 && echo address {other} {place};"
                ));
            }
        }
        let seen =
            home.hull(&["exec", &format!("box{number}"), "sh", "-c", &format!("{line} true")]);
        let own = of(number);
        let mut expected = String::new();
        for other in 0..containers {
            let common: Vec<bool> = of(other).iter().map(|network| own.contains(network)).collect();
            if common.contains(&true) {
                expected.push_str(&format!("name {other}\n"));
            }
            for (place, _) in common.iter().enumerate().filter(|(_, common)| **common) {
                expected.push_str(&format!("address {other} {place}\n"));
            }
        }
        assert_eq!(seen.success(), expected.trim_end(), "box{number}");
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_proxy_leads_to_containers_by_name() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["network", "create", "net"]).success();
    home.hull(&[
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "net",
        &image,
        "httpd",
        "-f",
        "-h",
        "/etc",
    ])
    .success();
    let refused = home.hull(&["network", "proxy", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, 1);
    assert!(refused.errors().contains("not a loopback address"), "{}", refused.errors());
    let mut command = home.command(&["network", "proxy", "--listen", "127.0.0.1:0"]);
    let mut proxy = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut url = String::new();
    BufReader::new(proxy.0.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let proxy_address = url.trim().strip_prefix("socks5h://").unwrap().to_owned();
    // Returns how a request ended, and what came.
    let fetch = |host: &str, port: u16| -> (u8, String) {
        let mut stream = TcpStream::connect(&proxy_address).unwrap();
        let mut request = vec![5, 1, 0, 5, 1, 0, 3, host.len() as u8];
        request.extend(host.as_bytes());
        request.extend(port.to_be_bytes());
        stream.write_all(&request).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        let mut text = String::new();
        if answer[3] == 0 {
            stream.write_all(b"GET /hostname HTTP/1.0\r\n\r\n").unwrap();
            stream.read_to_string(&mut text).unwrap();
        }
        (answer[3], text)
    };
    eventually("the web server runs", || fetch("web", 80).0 == 0);
    let ip = address(&home, "web", "net");
    for host in ["web", "WEB.net", "web.", &ip] {
        let (code, text) = fetch(host, 80);
        assert!(code == 0 && text.starts_with("HTTP/1."), "{host}: {code} {text}");
    }
    assert_eq!(fetch("web", 81).0, 5, "nobody listens");
    // Neither names nor addresses that are nobody's here: it is no way out, nor into the host.
    for host in ["nobody", "127.0.0.1", "192.0.2.1", "localhost", "::1"] {
        assert_eq!(fetch(host, 80).0, 4, "{host}");
    }
    home.hull(&["rm", "-f", "web"]).success();
    assert_ne!(fetch("web", 80).0, 0);
}

#[test]
fn redis_is_spoken_to_by_name_and_through_its_port() {
    let home = Home::new();
    home.load(Image::Redis);
    home.hull(&["network", "create", "net"]).success();
    let server =
        ["run", "-d", "--name", "db", "--network", "net", "-p", "127.0.0.1::6379", "redis"];
    let server = [&server[..], &["--protected-mode", "no"]].concat();
    home.hull(&server).success();
    let client = ["run", "--rm", "--network", "net", "--entrypoint", "redis-cli", "redis"];
    let client = |arguments: &[&str]| home.hull(&[&client[..], &["-h", "db"], arguments].concat());
    eventually("redis answers by name", || client(&["ping"]).text() == "PONG");
    let value = "x".repeat(100_000);
    client(&["set", "key", &value]).success();
    assert_eq!(client(&["get", "key"]).success(), value);

    let port = home.hull(&["port", "db", "6379"]).success();
    let mut stream = TcpStream::connect(&port).unwrap();
    // Many requests before the first answer is read.
    let requests = "INCR count\r\n".repeat(10_000);
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(requests.as_bytes()).unwrap());
    let expected: String = (1..=10_000).map(|number| format!(":{number}\r\n")).collect();
    let mut answers = vec![0; expected.len()];
    stream.read_exact(&mut answers).unwrap();
    writing.join().unwrap();
    assert!(answers == expected.as_bytes(), "answers are missing or out of order");
    assert_eq!(client(&["get", "count"]).success(), "10000");
}
