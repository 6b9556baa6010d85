//! The host's part of the talk with an agent, as far as tests need it.

use std::collections::BTreeMap;

use hull_protocol::{
    Configure, Create, Decoder, Event, Frame, Hello, Kind, Reply, Request, Response, Rootfs, Stdio,
    VERSION,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::SOON;

pub(crate) struct Guest {
    channel: UnixStream,
    decoder: Decoder,
    requests: u32,
}

impl Guest {
    pub(crate) fn new(channel: UnixStream) -> Self {
        Self { channel, decoder: Decoder::default(), requests: 0 }
    }

    /// Greets the agent and waits for its greeting.
    pub(crate) async fn greet(&mut self) {
        let hello =
            Hello { version: VERSION, software: "test".into(), kernel: None, uptime_us: None };
        let frame = Frame::new(Kind::Hello, 0, serde_json::to_vec(&hello).unwrap());
        self.send(&frame).await;
        assert_eq!(self.frame().await.kind, Kind::Hello);
    }

    pub(crate) async fn configure(&mut self, hostname: &str) {
        let mut entropy = [0; 64];
        let file = std::fs::File::open("/dev/urandom").unwrap();
        std::io::Read::read_exact(&mut &file, &mut entropy).unwrap();
        let entropy = entropy.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        self.request(&Request::Configure(Configure {
            entropy,
            clock_ns: now.as_nanos() as u64,
            hostname: hostname.into(),
            sysctls: BTreeMap::new(),
            isolated: false,
        }))
        .await;
    }

    /// Runs `script` in a container and returns what it writes.
    pub(crate) async fn run(&mut self, container: &str, script: &str, scratch: bool) -> String {
        let spec = json!({
            "ociVersion": "1.2.0",
            "process": {
                "args": ["/bin/busybox", "sh", "-c", script], "env": ["PATH=/bin"], "cwd": "/",
            },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
            ],
            // The host name is the guest's.
            "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }] },
        });
        let stream = 1000 + self.requests;
        self.request(&Request::Create(Box::new(Create {
            container: container.into(),
            spec: serde_json::value::to_raw_value(&spec).unwrap(),
            rootfs: Rootfs {
                image: "image".into(),
                image_type: "erofs".into(),
                scratch: scratch.then(|| "scratch".into()),
            },
            seccomp: None,
            user: None,
            groups: Vec::new(),
            files: BTreeMap::new(),
            shares: Vec::new(),
            init: false,
            stdio: Stdio { stdout: Some(stream), stderr: Some(stream + 1), ..Stdio::default() },
        })))
        .await;
        self.request(&Request::Start { container: container.into() }).await;
        let mut output = Vec::new();
        loop {
            let frame = self.frame().await;
            match frame.kind {
                Kind::Data => output.extend(frame.payload),
                Kind::Event => {
                    let event: Event = serde_json::from_slice(&frame.payload).unwrap();
                    if matches!(event, Event::Exited { .. }) {
                        break;
                    }
                }
                _ => {}
            }
        }
        self.request(&Request::Delete { container: container.into() }).await;
        String::from_utf8(output).unwrap()
    }

    pub(crate) async fn request(&mut self, request: &Request) -> Reply {
        self.requests += 1;
        let payload = serde_json::to_vec(request).unwrap();
        self.send(&Frame::new(Kind::Request, self.requests, payload)).await;
        loop {
            let frame = self.frame().await;
            if frame.kind == Kind::Response && frame.stream == self.requests {
                return match serde_json::from_slice(&frame.payload).unwrap() {
                    Response::Ok(reply) => reply,
                    Response::Error(error) => panic!("{request:?}: {error}"),
                };
            }
        }
    }

    async fn send(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.channel.write_all(&bytes).await.unwrap();
    }

    async fn frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return frame;
            }
            let mut buffer = vec![0; 65536];
            let read = timeout(SOON, self.channel.read(&mut buffer)).await.unwrap().unwrap();
            assert_ne!(read, 0, "the machine has ended");
            self.decoder.extend(&buffer[..read]);
        }
    }
}
