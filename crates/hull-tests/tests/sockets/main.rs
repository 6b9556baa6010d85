//! Unix sockets between host and containers, both ways.

mod files;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use hull_tests::{Home, Image, eventually, kill, run, skip};

const IMAGE: &str = "python";

/// Answers each connection, once its client has ended its own direction, with the number of bytes
/// and the bytes.
const SERVER: &str = "
import os, socket, sys, threading
path = sys.argv[1] if len(sys.argv) > 1 else '/run/app.sock'
if os.path.exists(path): os.unlink(path)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(300)
def serve(client):
    got = bytearray()
    while part := client.recv(65536): got += part
    client.sendall(f'{len(got)}\\n'.encode())
    client.sendall(got)
    client.close()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
";

/// Connects to a socket of the host that is given to a container and says what comes back.
const CLIENT: &str = "
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b'question')
client.shutdown(socket.SHUT_WR)
answer = b''
while part := client.recv(65536): answer += part
print(answer.decode())
";

/// Bytes that are not all the same.
fn bytes(length: usize) -> Vec<u8> {
    let word = |index: usize| (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    (0..length.div_ceil(8)).flat_map(word).take(length).collect()
}

/// Sends `sent` and returns what the server of [`SERVER`] answers; `None` if it does not.
fn ask(path: &Path, sent: &[u8]) -> Option<Vec<u8>> {
    talk(UnixStream::connect(path).ok()?, sent).ok()
}

fn talk(mut client: UnixStream, sent: &[u8]) -> std::io::Result<Vec<u8>> {
    client.set_read_timeout(Some(Duration::from_secs(60)))?;
    client.write_all(sent)?;
    client.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    Ok(answer)
}

fn expected(sent: &[u8]) -> Vec<u8> {
    [format!("{}\n", sent.len()).as_bytes(), sent].concat()
}

fn is_served(path: &Path) -> bool {
    ask(path, b"?").is_some_and(|answer| answer == expected(b"?"))
}

/// Answers every connection to `path` with `answer`, once its client has said all.
fn listen(path: &Path, answer: &'static str) {
    let listener = UnixListener::bind(path).expect("a socket");
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { continue };
            let mut question = String::new();
            if client.read_to_string(&mut question).is_ok() {
                let _ = client.write_all(format!("{answer} to {question}").as_bytes());
            }
        }
    });
}

#[test]
fn a_published_socket_carries_everything_and_goes_with_its_container() {
    let home = Home::new();
    home.load(Image::Python);
    let dir = tempfile::tempdir().expect("a temp dir");
    let path = dir.path().join("app.sock");
    let publish = format!("{}:/run/app.sock", path.display());
    let server = [IMAGE, "python3", "-c", SERVER];
    let flags = ["run", "-d", "--name", "app", "--publish-socket", &publish];
    home.hull(&[&flags[..], &server].concat()).success();
    eventually("the container answers", || is_served(&path));
    let mode = fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let shown = home.hull(&["inspect", "-f", "{{json .HostConfig.PublishSockets}}", "app"]);
    let wanted =
        format!("[{{\"HostPath\":\"{}\",\"ContainerPath\":\"/run/app.sock\"}}]", path.display());
    assert_eq!(shown.success(), wanted);

    // More than all windows together, both ways.
    let much = bytes(8 << 20);
    assert!(ask(&path, &much).expect("an answer") == expected(&much), "8 MiB have changed");
    at_once(&path, 200);

    children_have_sockets_of_their_own(&home, &path);
    let second = ["run", "--rm", "--publish-socket", &publish, IMAGE, "true"];
    let second = home.hull(&second);
    assert_eq!(second.code, 125);
    assert!(second.errors().contains("another process listens there"), "{}", second.errors());

    // The daemon is not in the way.
    kill(home.daemon_pid());
    assert!(is_served(&path));
    home.hull(&["restart", "-t", "0", "app"]).success();
    eventually("the container answers again", || is_served(&path));
    // What is left of a supervisor that was killed is replaced.
    let supervisor = home.state("app")["supervisor_pid"].as_u64().expect("a pid");
    kill(supervisor as u32);
    home.hull(&["wait", "app"]).success();
    assert!(fs::symlink_metadata(&path).expect("left").file_type().is_socket());
    assert!(UnixStream::connect(&path).is_err());
    home.hull(&["start", "app"]).success();
    eventually("the container answers once more", || is_served(&path));

    home.hull(&["stop", "-t", "0", "app"]).success();
    assert!(!path.exists(), "the socket of a container that has ended is there");
    home.hull(&["start", "app"]).success();
    let supervisor = home.state("app")["supervisor_pid"].as_u64().expect("a pid");
    kill(supervisor as u32);
    home.hull(&["rm", "-f", "app"]).success();
    assert!(!path.exists(), "the socket of a container that was removed is there");
}

/// Forks `app`, whose socket is published at `path`.
fn children_have_sockets_of_their_own(home: &Home, path: &Path) {
    let asks = |publish: &str| {
        home.hull(&["fork", "-n", "2", "--name", "copy", "--publish-socket", publish, "app"])
    };
    let (taken, wrong) = (path.with_file_name("taken-2"), path.with_file_name("wrong"));
    fs::write(&taken, "").expect("a file");
    for (host, inside) in [(&path.with_file_name("taken"), "/run/app.sock"), (&wrong, "/run/")] {
        let refused = asks(&format!("{}:{inside}", host.display()));
        assert!(refused.code != 0, "{}", refused.text());
    }
    assert_eq!(home.hull(&["ps", "-aq", "--filter", "name=copy"]).success(), "");
    assert!(!path.with_file_name("taken-1").exists(), "a child that is none has left its socket");

    // It is in the middle of an answer, which the source alone goes on with.
    let mut open = UnixStream::connect(path).expect("a connection");
    open.write_all(b"one").expect("sent");
    let forked = asks(&format!("{}:/run/app.sock", path.with_file_name("copy").display()));
    assert!(!forked.errors().contains("WARNING"), "{}", forked.errors());
    forked.success();
    open.write_all(b" two").expect("sent");
    open.shutdown(Shutdown::Write).expect("an end");
    let mut answer = Vec::new();
    open.read_to_end(&mut answer).expect("an answer");
    assert!(answer == expected(b"one two"), "the answer has changed");
    assert!(is_served(path), "the source is not served any more");
    for number in 1..=2 {
        let own = path.with_file_name(format!("copy-{number}"));
        eventually("a child answers", || is_served(&own));
        let name = format!("copy-{number}");
        let shown = home.hull(&["inspect", "-f", "{{json .HostConfig.PublishSockets}}", &name]);
        let wanted =
            format!("[{{\"HostPath\":\"{}\",\"ContainerPath\":\"/run/app.sock\"}}]", own.display());
        assert_eq!(shown.success(), wanted);
        home.hull(&["rm", "-f", &name]).success();
        assert!(!own.exists(), "the socket of a child that was removed is there");
    }

    let forked = home.hull(&["fork", "--name", "copy", "app"]);
    assert!(forked.errors().contains("leads to the source only"), "{}", forked.errors());
    home.hull(&["rm", "-f", "copy"]).success();
    assert!(is_served(path), "the source's socket went with a child");
}

/// Has `count` clients talk to the server at the same time, all connected before the first speaks.
fn at_once(path: &Path, count: usize) {
    let connected = Barrier::new(count);
    thread::scope(|scope| {
        let talk_to = |number: usize| {
            let connected = &connected;
            scope.spawn(move || {
                let client = UnixStream::connect(path).expect("a connection");
                connected.wait();
                let sent = bytes(1000 + number);
                assert!(talk(client, &sent).expect("an answer") == expected(&sent));
            })
        };
        let clients: Vec<_> = (0..count).map(talk_to).collect();
        for client in clients {
            client.join().expect("a client");
        }
    });
}

#[test]
fn what_cannot_be_published_is_said_before_the_container_runs() {
    let home = Home::new();
    home.load(Image::Busybox);
    let dir = tempfile::tempdir().expect("a temp dir");
    let place = |name: &str| dir.path().join(name);
    fs::write(place("file"), "precious").expect("a file");
    let long = "n".repeat(120);
    for (name, reason, hint) in [
        ("missing/a.sock", "its directory does not exist", "make the directory first"),
        ("file", "something that is no socket is there", "choose another path"),
        (&long, "its name is too long", "choose a shorter one"),
    ] {
        let good = format!("{}:/good", place("good").display());
        let bad = format!("{}:/bad", place(name).display());
        let sockets = ["--publish-socket", &good, "--publish-socket", &bad];
        let output =
            home.hull(&[&["run", "--rm"], &sockets[..], &["busybox", "echo", "ran"]].concat());
        assert_eq!((output.code, output.text().as_str()), (125, ""), "{name}");
        let errors = output.errors();
        assert!(errors.contains(reason) && errors.contains(hint), "{errors}");
        assert!(!place("good").exists(), "half of it is left");
    }
    assert_eq!(fs::read(place("file")).expect("the file"), b"precious");
    // Directories may have names of any length.
    let deep = place(&"d".repeat(150));
    fs::create_dir(&deep).expect("a directory");
    let publish = format!("{}:/s", deep.join("s").display());
    home.hull(&["run", "--rm", "--publish-socket", &publish, "busybox", "true"]).success();
}

#[test]
fn a_socket_of_the_host_in_a_container() {
    let home = Home::of_ordinary_user(&[]);
    home.load(Image::Python);
    let dir = tempfile::tempdir().expect("a temp dir");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let path = dir.path().join("host.sock");
    listen(&path, "an answer");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("permissions");
    let bind = format!("{}:/in/side.sock", path.display());
    let app = home.path().join("app.sock");
    let publish = format!("{}:/run/app.sock", app.display());
    let daemon = format!("{}:/var/run/docker.sock:ro", home.socket().display());
    let binds = ["-v", &bind, "-v", &daemon, "--publish-socket", &publish];
    let server = [IMAGE, "python3", "-c", SERVER];
    home.hull(&[&["run", "-d", "--name", "app"], &binds[..], &server].concat()).success();
    let ask_host = |user: &str| {
        home.hull(&["exec", "-u", user, "app", "python3", "-c", CLIENT, "/in/side.sock"])
    };
    assert_eq!(ask_host("0").success(), "an answer to question");
    assert_eq!(ask_host("1000").success(), "an answer to question");
    let stat = home.hull(&["exec", "app", "stat", "-c", "%A", "/in/side.sock"]);
    assert_eq!(stat.success(), "srw-rw-rw-");
    let ping = "import socket
client = socket.socket(socket.AF_UNIX)
client.connect('/var/run/docker.sock')
client.sendall(b'GET /_ping HTTP/1.0\\r\\n\\r\\n')
print(client.makefile().read())";
    let ping = home.hull(&["exec", "app", "python3", "-c", ping]);
    assert!(ping.success().ends_with("OK"), "{ping:?}");
    let many = "import socket
all = [socket.socket(socket.AF_UNIX) for _ in range(200)]
for client in all: client.connect('/in/side.sock')
for client in all: client.sendall(b'x'); client.shutdown(socket.SHUT_WR)
print({client.recv(100) for client in all})";
    let many = home.hull(&["exec", "app", "python3", "-c", many]);
    assert_eq!(many.success(), "{b'an answer to x'}");

    // It is the path that leads there, not the socket that was there at the start.
    fs::remove_file(&path).expect("the socket");
    assert_eq!(ask_host("0").text(), "", "nobody listens");
    listen(&path, "another one");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("permissions");
    assert_eq!(ask_host("0").success(), "another one to question");
    eventually("the container answers", || is_served(&app));
    home.hull(&["rm", "-f", "app"]).success();
    assert!(!app.exists());
}

/// An ssh agent with one key.
struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    fn new(dir: &Path) -> Self {
        let socket = dir.join("agent.sock");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
        let process = command.spawn().expect("ssh-agent");
        eventually("the agent listens", || UnixStream::connect(&socket).is_ok());
        let key = dir.join("key");
        let limit = Duration::from_secs(30);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", "the key", "-f"]).arg(&key);
        run(&mut command, limit).success();
        let mut command = Command::new("ssh-add");
        run(command.arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket), limit).success();
        Self { process, socket }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The programs of the host, which is Debian's as well.
const PROGRAMS: [&str; 6] = ["-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro"];

#[test]
fn the_ssh_agent_in_a_container() {
    if !Path::new("/usr/bin/ssh-add").exists() || !Path::new("/lib64").exists() {
        return skip("needs ssh-agent and ssh-add in /usr/bin");
    }
    let home = Home::new();
    home.load(Image::Busybox);
    let dir = tempfile::tempdir().expect("a temp dir");
    let agent = Agent::new(dir.path());
    let mut command = home.command(&["run", "-d", "--name", "app", "--ssh"]);
    command.args(PROGRAMS).args(["busybox", "sleep", "600"]);
    let limit = Duration::from_secs(180);
    run(command.env("SSH_AUTH_SOCK", &agent.socket), limit).success();
    for user in ["0", "1000"] {
        let keys = home.hull(&["exec", "-u", user, "app", "/usr/bin/ssh-add", "-l"]).success();
        assert!(keys.contains("the key"), "{user}: {keys}");
    }
    let variable = home.hull(&["exec", "app", "sh", "-c", "echo $SSH_AUTH_SOCK"]).success();
    assert_eq!(variable, "/run/host-services/ssh-auth.sock");
    // A copy of the container has it, too.
    home.hull(&["fork", "--name", "copy", "app"]).success();
    let keys = home.hull(&["exec", "copy", "/usr/bin/ssh-add", "-l"]).success();
    assert!(keys.contains("the key"), "copy: {keys}");
    home.hull(&["rm", "-f", "copy"]).success();
    // Without an agent the container still starts.
    drop(agent);
    home.hull(&["restart", "-t", "0", "app"]).success();
    let keys = home.hull(&["exec", "app", "/usr/bin/ssh-add", "-l"]);
    assert_ne!(keys.code, 0, "{keys:?}");
    home.hull(&["rm", "-f", "app"]).success();
    let mut command = home.command(&["run", "--rm", "--ssh", "busybox", "true"]);
    let refused = run(command.env_remove("SSH_AUTH_SOCK"), limit);
    assert_eq!(refused.code, 125);
    assert!(refused.errors().contains("SSH_AUTH_SOCK is not set"), "{}", refused.errors());
}
