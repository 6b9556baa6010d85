//! A machine whose guest is played by the test.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hull_protocol::{
    Create, Decoder, Event, ExitStatus, Frame, Hello, Kind, Reply, Request, Response, RpcError,
    Target, VERSION,
};
use hull_vmm::qemu::qmp::QmpError;
use hull_vmm::{
    CloneError, Disk, DiskError, End, Exchange, ForkError, Machine, Nic, NicError, NicPlace,
    Original, PowerState, SaveError, Slot,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;

use crate::client::{Client, Control};
use crate::control::Failure;
use crate::server::RunError;
use crate::server::context::Context;
use crate::server::machine::{Launched, Launcher};
use crate::state::{Origin, State};

pub(super) const SOON: Duration = Duration::from_secs(5);

/// Runs `test` in a runtime like the supervisor's.
pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = async { timeout(Duration::from_secs(30), test).await.unwrap() };
    LocalSet::new().block_on(&runtime, test);
}

/// A supervisor under test, a daemon's control over it, and its guest.
pub(super) struct Bench {
    _home: tempfile::TempDir,
    pub(super) dir: PathBuf,
    pub(super) control: Control,
    pub(super) client: Client,
    pub(super) guest: Guest,
    pub(super) supervisor: JoinHandle<Result<(), RunError>>,
}

impl Bench {
    /// Starts a supervisor; `change` may change the launch file.
    pub(super) async fn new(change: impl FnOnce(&mut serde_json::Value)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().to_owned();
        let mut launch = serde_json::json!({
            "container": "c",
            "machine": {
                "home": dir, "kernel": "/k", "agent": "/a", "probe_cache": "/p",
                "vcpus": 1, "memory": 1 << 20,
            },
            "disks": { "image": "/i" },
            "spec": {},
            "log": { "driver": "json-file", "path": dir.join("json.log") },
        });
        change(&mut launch);
        std::fs::write(dir.join("launch.json"), launch.to_string()).unwrap();
        let (launcher, guest) = launcher();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let supervised = dir.clone();
        let supervisor = tokio::task::spawn_local(async move {
            theirs.set_nonblocking(true).unwrap();
            let theirs = UnixStream::from_std(theirs).unwrap();
            super::super::serve(&supervised, theirs, &launcher).await
        });
        let mut control = Control::new(ours, &dir).unwrap();
        control.notice().await.unwrap();
        Self { client: control.client(), _home: home, dir, control, guest, supervisor }
    }

    /// As [`Bench::new`], with the container running.
    pub(super) async fn running(change: impl FnOnce(&mut serde_json::Value)) -> Running {
        let Self { _home, dir, control, client, mut guest, supervisor } = Self::new(change).await;
        let (started, create) = tokio::join!(control.start(), guest.start());
        assert!(started.unwrap().started_at.is_some());
        Running { _home, dir, client, guest, create, supervisor }
    }
}

pub(super) struct Running {
    _home: tempfile::TempDir,
    pub(super) dir: PathBuf,
    pub(super) client: Client,
    pub(super) guest: Guest,
    pub(super) create: Box<Create>,
    pub(super) supervisor: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Ends the init process and its streams as an agent does.
    pub(super) async fn exit(&mut self, status: ExitStatus) {
        let stdio = self.create.stdio.clone();
        for stream in [stdio.stdout, stdio.stderr].into_iter().flatten() {
            self.guest.send(Frame::new(Kind::Eof, stream, [])).await;
        }
        self.guest.exited(None, status).await;
        while let Some(frame) = self.guest.receive().await {
            if frame.kind == Kind::Request && frame.payload == b"\"shutdown\"" {
                self.guest.reply(frame.stream, Reply::Done).await;
                self.guest.end.send_replace(Some(End { code: Some(0), ..End::default() }));
                return;
            }
        }
    }

    pub(super) async fn output(&mut self, stderr: bool, bytes: &[u8]) {
        let stdio = &self.create.stdio;
        let stream = if stderr { stdio.stderr } else { stdio.stdout };
        self.guest.send(Frame::new(Kind::Data, stream.unwrap(), bytes)).await;
    }

    /// Waits for the supervisor's end and returns what it left.
    pub(super) async fn ended(self) -> State {
        timeout(SOON, self.supervisor).await.unwrap().unwrap().unwrap();
        assert!(!self.dir.join("sup.sock").exists());
        State::read(&self.dir).unwrap().unwrap()
    }
}

pub(super) fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("json.log")).unwrap_or_default()
}

/// The guest's end of the channel.
pub(super) struct Guest {
    stream: UnixStream,
    decoder: Decoder,
    pub(super) console: DuplexStream,
    /// Ends the machine.
    pub(super) end: watch::Sender<Option<End>>,
}

impl Guest {
    pub(super) async fn hello(&mut self) {
        self.expect(Kind::Hello).await;
        let hello = Hello {
            version: VERSION,
            software: "fake".into(),
            kernel: Some("6.12 x86_64".into()),
            uptime_us: Some(1),
        };
        let payload = serde_json::to_vec(&hello).unwrap();
        self.send(Frame::new(Kind::Hello, 0, payload)).await;
    }

    /// Plays a boot to the point where the container waits for its start.
    pub(super) async fn create(&mut self) -> Box<Create> {
        self.hello().await;
        let (number, request) = self.request().await;
        let Request::Configure(configure) = request else {
            panic!("not configured first: {request:?}");
        };
        assert!(configure.entropy.len() >= 64 && configure.clock_ns > 0);
        self.reply(number, Reply::Done).await;
        let (number, request) = self.request().await;
        let Request::Create(create) = request else {
            panic!("not created second: {request:?}");
        };
        self.reply(number, Reply::Created { pid: 41 }).await;
        create
    }

    /// Plays a boot to the point where the program is executed.
    pub(super) async fn start(&mut self) -> Box<Create> {
        let create = self.create().await;
        let (number, request) = self.request().await;
        assert!(matches!(request, Request::Start { .. }), "{request:?}");
        self.reply(number, Reply::Started { pid: 42 }).await;
        create
    }

    pub(super) async fn exited(&mut self, exec: Option<&str>, status: ExitStatus) {
        let event = Event::Exited {
            target: Target { container: "c".into(), exec: exec.map(str::to_owned) },
            status,
            oom_killed: false,
        };
        let payload = serde_json::to_vec(&event).unwrap();
        self.send(Frame::new(Kind::Event, 0, payload)).await;
    }

    pub(super) async fn send(&mut self, frame: Frame) {
        let mut wire = Vec::new();
        frame.encode(&mut wire);
        self.stream.write_all(&wire).await.unwrap();
    }

    pub(super) async fn reply(&mut self, number: u32, reply: Reply) {
        let payload = serde_json::to_vec(&Response::Ok(reply)).unwrap();
        self.send(Frame::new(Kind::Response, number, payload)).await;
    }

    pub(super) async fn refuse(&mut self, number: u32, error: RpcError) {
        let payload = serde_json::to_vec(&Response::Error(error)).unwrap();
        self.send(Frame::new(Kind::Response, number, payload)).await;
    }

    pub(super) async fn request(&mut self) -> (u32, Request) {
        let frame = self.expect(Kind::Request).await;
        (frame.stream, serde_json::from_slice(&frame.payload).unwrap())
    }

    pub(super) async fn expect(&mut self, kind: Kind) -> Frame {
        let frame = timeout(SOON, self.receive()).await.unwrap().unwrap();
        assert_eq!(frame.kind, kind);
        frame
    }

    pub(super) async fn receive(&mut self) -> Option<Frame> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.decoder.extend(&buffer[..read]),
            }
        }
    }
}

struct FakeLauncher(RefCell<Option<FakeMachine>>);

fn launcher() -> (impl Launcher, Guest) {
    let (channel, stream) = UnixStream::pair().unwrap();
    let (pipe, console) = tokio::io::duplex(1024);
    let end = watch::Sender::new(None);
    let guest = Guest { stream, decoder: Decoder::default(), console, end: end.clone() };
    let machine = FakeMachine { channel: Some(channel), console: Some(pipe), end };
    (FakeLauncher(RefCell::new(Some(machine))), guest)
}

impl Launcher for FakeLauncher {
    type Machine = FakeMachine;

    async fn launch(&self, _: &Context) -> Result<Launched<FakeMachine>, Failure> {
        let machine = self.0.borrow_mut().take().unwrap();
        let origin = Origin::cold(None);
        let writable = Slot::Scratch;
        let (greeted, shape, disks, running, shares) = (None, None, Vec::new(), None, None);
        let wired = Vec::new();
        Ok(Launched { machine, origin, writable, greeted, shape, disks, running, wired, shares })
    }
}

struct FakeMachine {
    channel: Option<UnixStream>,
    console: Option<DuplexStream>,
    end: watch::Sender<Option<End>>,
}

impl Machine for FakeMachine {
    type Console = DuplexStream;

    fn pid(&self) -> Option<u32> {
        Some(std::process::id())
    }

    fn take_channel(&mut self) -> Option<UnixStream> {
        self.channel.take()
    }

    fn take_share(&mut self) -> Option<UnixStream> {
        None
    }

    fn take_console(&mut self) -> Option<DuplexStream> {
        self.console.take()
    }

    async fn pause(&mut self) -> Result<(), QmpError> {
        Err(QmpError::Closed)
    }

    async fn resume(&mut self) -> Result<(), QmpError> {
        Err(QmpError::Closed)
    }

    fn nics(&self) -> Vec<NicPlace> {
        Vec::new()
    }

    async fn plug_nic(&mut self, _: &Nic, _: std::os::fd::OwnedFd) -> Result<(), NicError> {
        Ok(())
    }

    fn can_rewire_nic(&self, _: &str) -> bool {
        false
    }

    async fn rewire_nic(&mut self, _: &str, _: &str, _: OwnedFd) -> Result<(), NicError> {
        Err(NicError::Fixed)
    }

    async fn unplug_nic(&mut self, _: &str) -> Result<(), NicError> {
        Ok(())
    }

    async fn attach_disk(&mut self, _slot: Slot, _disk: &Disk) -> Result<(), DiskError> {
        Ok(())
    }

    async fn begin_copy(&mut self, slot: Slot, _path: &Path) -> Result<(), DiskError> {
        Err(DiskError::NoSuchSlot(slot))
    }

    async fn catch_up_copy(&mut self, slot: Slot) -> Result<(), DiskError> {
        Err(DiskError::NoSuchSlot(slot))
    }

    async fn finish_copy(&mut self, slot: Slot) -> Result<(), DiskError> {
        Err(DiskError::NoSuchSlot(slot))
    }

    async fn abandon_copy(&mut self, _slot: Slot) {}

    async fn save(&mut self) -> Result<Vec<u8>, SaveError> {
        Err(SaveError::Unsuited)
    }

    async fn save_whole(&mut self, _file: OwnedFd) -> Result<(), SaveError> {
        Err(SaveError::Unsuited)
    }

    async fn offer(&mut self, _listener: OwnedFd) -> Result<Original, CloneError> {
        Err(CloneError::Unsuited)
    }

    async fn twin(&mut self, _name: &str, _files: Vec<Exchange>) -> Result<Self, CloneError> {
        Err(CloneError::Unsuited)
    }

    async fn resumed(&mut self) -> Result<(), ForkError> {
        Ok(())
    }

    async fn power_state(&mut self) -> Result<PowerState, QmpError> {
        Err(QmpError::Closed)
    }

    fn kill(&mut self) {
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            end.get_or_insert(End { signal: Some(9), ..End::default() });
            first
        });
    }

    async fn wait(&mut self) -> End {
        let mut end = self.end.subscribe();
        end.wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }
}
