//! The server over a real socket, with an engine that has no containers: what clients get when
//! they ask in odd ways.
#![expect(clippy::unwrap_used, reason = "what goes wrong in a helper fails its test")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use hull_api::Server;
use hull_engine::{Engine, Settings};
use tokio_util::sync::CancellationToken;

#[test]
fn ping_tells_what_speaks() {
    let daemon = Daemon::start();
    for (request, body) in [("GET /_ping", "OK"), ("GET /v1.24/_ping", "OK"), ("HEAD /_ping", "")] {
        let answer = daemon.ask(request, "", "");
        assert_eq!(answer.status, 200, "{request}");
        assert_eq!(answer.body, body);
        assert_eq!(answer.header("api-version"), hull_api::VERSION);
        assert_eq!(answer.header("docker-experimental"), "false");
        assert_eq!(answer.header("ostype"), "linux");
        assert_eq!(answer.header("builder-version"), "");
    }
}

#[test]
fn versions_and_paths_that_there_are_not() {
    let daemon = Daemon::start();
    for (request, status, message) in [
        (
            "GET /v1.99/info",
            400,
            "client version 1.99 is too new. Maximum supported API version is 1.51",
        ),
        (
            "GET /v1.12/info",
            400,
            "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
        ),
        ("GET /nosuch", 404, "page not found"),
        ("GET /v1.41/swarm", 404, "page not found"),
        ("DELETE /info", 404, "page not found"),
        ("POST /images/x/nosuch", 404, "page not found"),
        ("GET /containers/x/json", 404, "No such container: x"),
        ("GET /containers/%2e%2e%2fetc/json", 404, "No such container: ../etc"),
        ("POST /containers/x/start", 404, "No such container: x"),
        ("POST /containers/x/wait", 404, "No such container: x"),
        ("POST /containers/x/wait?condition=odd", 400, "invalid condition: \"odd\""),
        ("POST /containers/x/attach?stream=1", 404, "No such container: x"),
        ("GET /containers/x/logs?stdout=1", 404, "No such container: x"),
        ("GET /containers/x/logs", 400, "Bad parameters: you must choose at least one stream"),
        ("POST /containers/x/resize?h=a&w=1", 400, "invalid value \"a\" for \"h\": no number"),
        ("DELETE /containers/x", 404, "No such container: x"),
        ("DELETE /containers/x?link=1", 404, "No such container: x"),
        ("GET /exec/x/json", 404, "No such exec instance: x"),
        ("GET /images/a/b/c/json", 404, "No such image: a/b/c:latest"),
        (
            "GET /containers/json?filters=zz",
            400,
            "invalid filter: expected value at line 1 column 1",
        ),
        ("POST /images/create", 400, "fromImage is required: no image to pull"),
        (
            "POST /images/create?fromSrc=http://127.0.0.1:1/x",
            500,
            "Get \"http://127.0.0.1:1/x\": dial tcp 127.0.0.1:1: connect: connection refused",
        ),
    ] {
        let answer = daemon.ask(request, "", "");
        assert_eq!((answer.status, answer.message().as_str()), (status, message), "{request}");
        assert_eq!(answer.header("content-type"), "application/json", "{request}");
    }
}

#[test]
fn bodies_that_make_no_sense() {
    let daemon = Daemon::start();
    let json = "Content-Type: application/json\r\n";
    let create = |headers, body| {
        let answer = daemon.ask("POST /v1.41/containers/create", headers, body);
        (answer.status, answer.message())
    };
    assert_eq!(
        create(json, "{\"x"),
        (400, "invalid JSON: EOF while parsing a string at line 1 column 3".into())
    );
    assert_eq!(create(json, ""), (400, "invalid JSON: got EOF while reading request body".into()));
    assert_eq!(
        create("Content-Type: text/plain\r\n", "{}"),
        (400, "unsupported Content-Type header (text/plain): must be 'application/json'".into())
    );
    assert_eq!(
        create(json, "[]"),
        (400, "invalid JSON: the body must be an object, not a list".into())
    );
    assert_eq!(
        create(json, r#"{"Image":"x","HostConfig":{"Cgroup":"x"}}"#),
        (400, "HostConfig.Cgroup is not supported: \"x\"".into())
    );
    let deep = "[".repeat(100_000);
    assert_eq!(create(json, &deep).0, 400);
    let huge = format!("{{\"Image\":\"{}\"}}", "x".repeat(5 << 20));
    assert_eq!(create(json, &huge), (413, "request body is larger than 4194304 bytes".into()));
}

#[test]
fn answers_are_what_dockers_own_types_read() {
    let daemon = Daemon::start();
    let info = daemon.ask("GET /info", "", "");
    let info: bollard_stubs::models::SystemInfo = serde_json::from_str(&info.body).unwrap();
    assert_eq!(info.containers, Some(0));
    let version = daemon.ask("GET /version", "", "");
    let version: bollard_stubs::models::SystemVersion =
        serde_json::from_str(&version.body).unwrap();
    assert_eq!(version.api_version.as_deref(), Some(hull_api::VERSION));
    for path in ["/containers/json?all=1", "/images/json"] {
        assert_eq!(daemon.ask(&format!("GET {path}"), "", "").body.trim(), "[]");
    }
}

#[test]
fn metrics_are_prometheus_text() {
    let daemon = Daemon::start();
    for path in ["GET /metrics", "GET /v1.51/metrics"] {
        let answer = daemon.ask(path, "", "");
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        let line = "hull_start_seconds_bucket{mode=\"fork\",le=\"+Inf\"} 0";
        assert!(answer.body.lines().any(|found| found == line), "{}", answer.body);
        assert!(answer.body.contains("hull_containers{state=\"running\"} 0"));
    }
}

#[test]
fn templates_that_there_are_not() {
    let daemon = Daemon::start();
    assert_eq!(daemon.ask("GET /hull/templates", "", "").body.trim(), "[]");
    let pruned = daemon.ask("POST /hull/templates/prune?all=1", "", "").body;
    assert_eq!(pruned.trim(), r#"{"TemplatesDeleted":[],"SpaceReclaimed":0}"#);
    let json = "Content-Type: application/json\r\n";
    for (request, body, status, message) in [
        ("DELETE /hull/templates/12ab", "", 404, "No such template: 12ab"),
        ("DELETE /hull/templates/%2e%2e%2f..%2fx", "", 404, "No such template: ../../x"),
        ("POST /hull/templates", r#"{"Disk":1}"#, 400, "Disk is not supported"),
        ("POST /hull/templates", "[]", 400, "[] is no object"),
    ] {
        let answer = daemon.ask(request, json, body);
        assert_eq!((answer.status, answer.message().as_str()), (status, message), "{request}");
    }
}

/// A server on a thread of its own, in a directory of its own.
struct Daemon {
    dir: tempfile::TempDir,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Daemon {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let (home, token) = (dir.path().join("home"), stop.clone());
        let (ready, wait) = std::sync::mpsc::channel();
        let socket = dir.path().join("s");
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let settings = Settings::new(home, "/nonexistent", "/nonexistent");
                let engine = Engine::open(settings).await.unwrap();
                let listener = hull_api::bind(&socket).unwrap();
                ready.send(()).unwrap();
                hull_api::serve(listener, Server { engine, stop: token }).await;
            });
        });
        wait.recv().unwrap();
        Self { dir, stop, thread: Some(thread) }
    }

    fn ask(&self, request: &str, headers: &str, body: &str) -> Answer {
        let socket: PathBuf = self.dir.path().join("s");
        let mut stream = UnixStream::connect(socket).unwrap();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that has seen enough closes before it has read all.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::parse(&String::from_utf8(answer).unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or("(missing)")
    }

    fn message(&self) -> String {
        let value: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        value["message"].as_str().unwrap_or_default().to_owned()
    }
}
