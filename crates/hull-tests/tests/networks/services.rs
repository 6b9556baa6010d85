//! Servers and clients as Debian has them, for an ordinary user.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use hull_tests::{Home, Image, eventually, skip};

use crate::idle;

/// Starts a server called `name` with one published port; returns where that is on the host.
fn serve(home: &Home, name: &str, port: &str, command: &[&str]) -> String {
    let publish = format!("127.0.0.1::{port}");
    let run = ["run", "-d", "--name", name, "--network", "net", "--ulimit", "nofile=8192:8192"];
    home.hull(&[&run[..], &["-p", &publish], command].concat()).success();
    home.hull(&["port", name, port]).success()
}

/// Runs a program of the host, and returns what it says; `None` if there is no such program.
fn of_host(program: &str, arguments: &[&str]) -> Option<String> {
    if !Path::new("/usr/bin").join(program).exists() {
        skip(&format!("{program} is not installed"));
        return None;
    }
    let output = Command::new(program).args(arguments).output().expect("a program");
    let said = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&said).trim_end().to_owned())
}

#[test]
fn servers_are_reached_by_name_and_through_their_ports() {
    const CONNECTIONS: &str = "1000";
    let home = Home::of_ordinary_user(&[]);
    home.load(Image::Redis);
    home.load(Image::Services);
    home.hull(&["network", "create", "--ipv6", "net"]).success();
    let redis = serve(&home, "redis", "6379", &["redis", "--protected-mode", "no"]);
    let page = "echo page > /var/www/html/index.html; exec nginx -g 'daemon off;'";
    let web = serve(&home, "web", "80", &["services", "sh", "-c", page]);
    let base = "exec pg_ctlcluster $(ls /etc/postgresql) main start --foreground";
    let base = serve(&home, "base", "5432", &["services", "sh", "-c", base]);
    idle(&home, "services", "client", "net", &[]);
    let other = ["run", "-d", "--name", "other", "--network", "net", "--entrypoint", "sleep"];
    home.hull(&[&other[..], &["redis", "86400"]].concat()).success();

    let exec = |words: &[&str]| home.hull(&[&["exec"][..], words].concat()).text();
    let query =
        |text: &str| exec(&["client", "psql", "-h", "base", "-U", "postgres", "-Atc", text]);
    eventually("redis answers by name", || {
        exec(&["other", "redis-cli", "-h", "redis", "set", "key", "value"]) == "OK"
    });
    for flag in ["-4", "-6"] {
        eventually("nginx answers by name", || {
            exec(&["client", "curl", "-s", flag, "http://web/"]) == "page"
        });
    }
    eventually("PostgreSQL answers by name", || query("select 1") == "1");
    query("create table numbers as select generate_series(1, 10000) as number");

    let mut stream = TcpStream::connect(&redis).unwrap();
    stream.write_all(b"GET key\r\nQUIT\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("$5\r\nvalue\r\n"), "{text}");
    let (host, port) = base.rsplit_once(':').unwrap();
    let sum = "select sum(number) from numbers";
    let arguments = ["-h", host, "-p", port, "-U", "postgres", "-Atc", sum];
    if let Some(said) = of_host("psql", &arguments) {
        assert_eq!(said, "50005000");
    }
    let url = format!("http://{web}/");
    let load = ["-c", CONNECTIONS, "-t", "2", "-d", "5", "--timeout", "60", &url];
    if let Some(said) = of_host("wrk", &load) {
        assert!(said.contains("requests in"), "{said}");
        // The line is there if something went wrong.
        assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
    }
    assert_eq!(query(sum), "50005000");
}
