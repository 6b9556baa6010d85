//! A daemon that gives canned answers, and records what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};

/// What the daemon does with one request.
pub(crate) enum Answer {
    /// Status and JSON.
    Json(u16, &'static str),
    /// Status, one more header, and JSON.
    WithHeader(u16, &'static str, &'static str),
    /// Status 101, then these bytes, then what the client sends until it ends its input.
    Echo(&'static [u8]),
    /// The connection ends when the request has been read.
    Nothing,
}

/// A request: method and path without version, and the body.
type Handler = dyn Fn(&str, &str) -> Answer + Send + Sync;

/// A fake daemon on a socket of its own.
pub(crate) struct Fake {
    dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(crate) fn new(handler: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        Self::that_drops(0, handler)
    }

    /// A daemon that closes its first `count` connections with requests in them that it has not
    /// read.
    pub(crate) fn that_drops(
        count: usize,
        handler: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (handler, log): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&asked));
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten().take(count) {
                let mut readable = [PollFd::new(&stream, PollFlags::IN)];
                poll(&mut readable, None).unwrap();
            }
            for stream in listener.incoming().flatten() {
                let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
                thread::spawn(move || serve(stream, &*handler, &log));
            }
        });
        Self { dir, asked }
    }

    /// Runs hull against this daemon with `input` as standard input.
    pub(crate) fn hull_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut host = std::ffi::OsString::from("unix://");
        host.push(self.dir.path().join("s"));
        run(hull(arguments).env("HULL_HOST", host), input)
    }

    /// Runs hull against this daemon.
    pub(crate) fn hull(&self, arguments: &[&str]) -> Ran {
        self.hull_with_input(arguments, b"")
    }

    /// Returns what was asked so far, in alphabetical order: some requests race.
    pub(crate) fn asked(&self) -> String {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.join("\n")
    }
}

/// What a command wrote and how it ended, for a snapshot.
pub(crate) struct Ran(Output);

impl Ran {
    pub(crate) fn shown(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!(
            "{}--- stderr\n{}--- exit code {}",
            text(&self.0.stdout),
            text(&self.0.stderr),
            self.0.status.code().unwrap()
        )
    }
}

/// Runs hull without any daemon.
pub(crate) fn alone(arguments: &[&str]) -> Ran {
    run(hull(arguments).env("HULL_HOST", "unix:///nonexistent/hull.sock"), b"")
}

/// Runs hull with a state directory of its own, where it may start a daemon.
pub(crate) fn at_home(home: &std::path::Path, arguments: &[&str]) -> Ran {
    run(hull(arguments).env("HULL_HOME", home), b"")
}

fn hull(arguments: &[&str]) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_hull")));
    command.args(arguments).env_clear().env("HOME", "/nonexistent").env("TZ", "UTC");
    command
}

fn run(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    Ran(child.wait_with_output().unwrap())
}

fn serve(mut stream: UnixStream, handler: &Handler, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let path = path.strip_prefix("/v1.51").unwrap();
    let request = format!("{method} {path}");
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header == "\r\n" {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let entry = if body.is_empty() { request.clone() } else { format!("{request} {body}") };
    log.lock().unwrap().push(entry);
    let json = |status: u16, header: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{header}Content-Length: {}\r\n\r\n{body}",
            if status == 204 { 0 } else { body.len() }
        )
    };
    match handler(&request, &body) {
        Answer::Json(status, body) => stream.write_all(json(status, "", body).as_bytes()).unwrap(),
        Answer::WithHeader(status, header, body) => {
            stream.write_all(json(status, &format!("{header}\r\n"), body).as_bytes()).unwrap();
        }
        Answer::Nothing => {}
        Answer::Echo(bytes) => {
            let head = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(bytes).unwrap();
            let mut input = Vec::new();
            reader.read_to_end(&mut input).unwrap();
            if !input.is_empty() {
                let length = u32::try_from(input.len()).unwrap().to_be_bytes();
                stream.write_all(&[1, 0, 0, 0]).unwrap();
                stream.write_all(&length).unwrap();
                stream.write_all(&input).unwrap();
            }
        }
    }
}
