//! Sockets in shared directories.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use hull_tests::{Home, Image, eventually, kill};

use crate::{CLIENT, IMAGE, SERVER, ask, at_once, bytes, expected, is_served, listen};

/// What a client in a container is answered, or the last line of why it is not.
fn ask_in(home: &Home, container: &str, path: &str) -> String {
    let asked = home.hull(&["exec", container, "python3", "-c", CLIENT, path]);
    match asked.code {
        0 => asked.text(),
        _ => asked.errors().lines().last().unwrap_or_default().to_owned(),
    }
}

/// Makes a directory that everybody may use.
fn shared(path: &Path) -> String {
    fs::create_dir(path).expect("a directory");
    fs::set_permissions(path, Permissions::from_mode(0o777)).expect("permissions");
    path.display().to_string()
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o666)).expect("permissions");
}

/// What a client is told where nobody listens.
const REFUSED: &str = "ConnectionRefusedError: [Errno 111] Connection refused";

#[test]
fn a_container_connects_to_what_listens_in_a_bound_directory() {
    let home = Home::of_ordinary_user(&[]);
    home.load(Image::Python);
    let dir = tempfile::tempdir().expect("a temp dir");
    open_to_all_directories(dir.path());
    let place = dir.path().join("run");
    let bind = shared(&place);
    let path = |name: &str| place.join(name);
    listen(&path("first"), "the first answer");
    open_to_all(&path("first"));
    drop(UnixListener::bind(path("stale")).expect("a socket"));
    open_to_all(&path("stale"));
    let _messages = UnixDatagram::bind(path("messages")).expect("a socket");
    open_to_all(&path("messages"));
    let (bind, read_only) = (format!("{bind}:/run/host"), format!("{bind}:/ro:ro"));
    let run = ["run", "-d", "--name", "app", "-v", &bind, "-v", &read_only];
    home.hull(&[&run[..], &[IMAGE, "sleep", "600"]].concat()).success();

    assert_eq!(ask_in(&home, "app", "/run/host/first"), "the first answer to question");
    assert_eq!(ask_in(&home, "app", "/ro/first"), "the first answer to question");
    assert_eq!(ask_in(&home, "app", "/run/host/stale"), REFUSED);
    assert_eq!(ask_in(&home, "app", "/run/host/messages"), REFUSED);
    let listed = home.hull(&["exec", "app", "sh", "-c", "ls /run/host; ls -F /run/host/first"]);
    assert_eq!(listed.success(), "first\nmessages\nstale\n/run/host/first=");
    // Who may not write to it may not connect.
    fs::set_permissions(path("first"), Permissions::from_mode(0o600)).expect("permissions");
    let denied = ["exec", "-u", "1000", "app", "python3", "-c", CLIENT, "/run/host/first"];
    assert!(home.hull(&denied).errors().contains("Permission denied"));
    open_to_all(&path("first"));
    // Those that come later, and in the place of others.
    listen(&path("later"), "a later answer");
    open_to_all(&path("later"));
    assert_eq!(ask_in(&home, "app", "/run/host/later"), "a later answer to question");
    fs::rename(path("later"), path("first")).expect("a rename");
    assert_eq!(ask_in(&home, "app", "/run/host/first"), "a later answer to question");
    fs::remove_file(path("first")).expect("the socket");
    let gone = ask_in(&home, "app", "/run/host/first");
    assert!(gone.starts_with("FileNotFoundError"), "{gone}");
    // One that goes while the container knows it.
    let listener = UnixListener::bind(path("fleeting")).expect("a socket");
    open_to_all(&path("fleeting"));
    let client = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        client.read_to_end(&mut Vec::new()).expect("a question");
    });
    assert_eq!(ask_in(&home, "app", "/run/host/fleeting"), "");
    client.join().expect("a client");
    assert_eq!(ask_in(&home, "app", "/run/host/fleeting"), REFUSED);
    let many = "import socket
all = [socket.socket(socket.AF_UNIX) for _ in range(100)]
for client in all: client.connect('/run/host/many')
for client in all: client.sendall(b'x'); client.shutdown(socket.SHUT_WR)
print({client.recv(100) for client in all})";
    listen(&path("many"), "an answer");
    open_to_all(&path("many"));
    let many = home.hull(&["exec", "app", "python3", "-c", many]);
    assert_eq!(many.success(), "{b'an answer to x'}");
}

fn open_to_all_directories(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("permissions");
}

#[test]
fn the_host_connects_to_what_listens_in_a_bound_directory() {
    let home = Home::of_ordinary_user(&[]);
    home.load(Image::Python);
    let place = home.path().join("run");
    let bind = format!("{}:/run/app", shared(&place));
    // A name that fits into an address in the container, but not with the directory's on the host.
    let long = "n".repeat(90);
    let path = place.join("app.sock");
    let serve = |name: &str, user: &str, at: &str| {
        let run = ["run", "-d", "--name", name, "-u", user, "-v", &bind];
        home.hull(&[&run[..], &[IMAGE, "python3", "-c", SERVER, at]].concat()).success();
    };
    serve("app", "1000", "/run/app/app.sock");
    eventually("the container answers", || is_served(&path));
    let much = bytes(1 << 20);
    assert!(ask(&path, &much).expect("an answer") == expected(&much), "1 MiB has changed");
    at_once(&path, 60);
    // From inside, and from another container with the same directory.
    assert_eq!(ask_in(&home, "app", "/run/app/app.sock"), "8\nquestion");
    let run = ["run", "-d", "--name", "other", "-v", &bind, IMAGE, "sleep", "600"];
    home.hull(&run).success();
    assert_eq!(ask_in(&home, "other", "/run/app/app.sock"), "8\nquestion");
    let owner = home.hull(&["exec", "app", "stat", "-c", "%u %A", "/run/app/app.sock"]);
    assert_eq!(owner.success(), "1000 srwxr-xr-x");
    let change = home.hull(&["exec", "-u", "1000", "app", "chmod", "777", "/run/app/app.sock"]);
    change.success();
    assert_eq!(fs::metadata(&path).expect("a socket").permissions().mode() & 0o777, 0o777);
    serve("long", "0", &format!("/run/app/{long}"));
    std::os::unix::fs::symlink(place.join(&long), place.join("short")).expect("a link");
    eventually("the second answers", || is_served(&place.join("short")));

    // The daemon is not in the way, and what a supervisor leaves is in nobody's way.
    kill(home.daemon_pid());
    assert!(is_served(&path));
    kill(home.state("app")["supervisor_pid"].as_u64().expect("a pid") as u32);
    home.hull(&["wait", "app"]).success();
    assert!(fs::symlink_metadata(&path).expect("left").file_type().is_socket());
    assert!(UnixStream::connect(&path).is_err());
    assert_eq!(ask_in(&home, "other", "/run/app/app.sock"), REFUSED);
    home.hull(&["start", "app"]).success();
    eventually("the container answers again", || is_served(&path));
    assert_eq!(ask_in(&home, "other", "/run/app/app.sock"), "8\nquestion");
    // Nobody listens before the program does, or after it.
    home.hull(&["rm", "-f", "app"]).success();
    assert!(UnixStream::connect(&path).is_err());
    let bound = "import os, socket
socket.socket(socket.AF_UNIX).bind('/run/app/bound'); print('bound', flush=True)
os.remove('/run/app/app.sock')";
    home.hull(&["exec", "other", "python3", "-c", bound]).success();
    assert!(UnixStream::connect(place.join("bound")).is_err());
    assert!(!path.exists());
}

#[test]
fn containers_meet_in_a_volume() {
    let home = Home::new();
    home.load(Image::Python);
    let run = |name: &str, more: &[&str]| {
        let run = ["run", "-d", "--name", name, "-v", "sockets:/run/app", IMAGE];
        home.hull(&[&run[..], more].concat()).success();
    };
    run("client", &["sleep", "600"]);
    run("server", &["python3", "-c", SERVER, "/run/app/app.sock"]);
    let answers = || ask_in(&home, "client", "/run/app/app.sock") == "8\nquestion";
    eventually("the server answers", answers);
    home.hull(&["restart", "-t", "0", "server"]).success();
    eventually("the server answers again", answers);
    home.hull(&["rm", "-f", "server"]).success();
    assert_eq!(ask_in(&home, "client", "/run/app/app.sock"), REFUSED);
    // A socket that came with a copy of a container is the source's to answer.
    run("source", &["python3", "-c", SERVER, "/run/app/app.sock"]);
    eventually("the source answers", answers);
    home.hull(&["fork", "--name", "copy", "source"]).success();
    for container in ["source", "copy", "client"] {
        assert_eq!(ask_in(&home, container, "/run/app/app.sock"), "8\nquestion", "{container}");
    }
    home.hull(&["rm", "-f", "source"]).success();
    assert_eq!(ask_in(&home, "client", "/run/app/app.sock"), REFUSED);
    assert_eq!(ask_in(&home, "copy", "/run/app/app.sock"), "8\nquestion");
}
