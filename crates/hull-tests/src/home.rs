//! A state directory with a hull daemon of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tempfile::TempDir;

use crate::command::{Output, run, run_with_input};
use crate::user::User;
use crate::{Image, Registry, archive};

/// How long one hull command may take before the test fails: two emulated cores that several
/// tests share are slow, and a hang must not last for ever.
const LIMIT: Duration = Duration::from_secs(180);

/// A temporary `HULL_HOME`; its daemon starts by itself with the first command.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    /// Who uses it, if that is somebody else than who runs the tests.
    user: Option<User>,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// Makes an empty home.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("hull-test-").tempdir().expect("a temp dir");
        Self { dir, user: None }
    }

    /// Makes an empty home of an ordinary user: another one where root runs the tests. Programs of
    /// `hidden` (paths) are as if they were not installed, but only where root runs the tests.
    pub fn of_ordinary_user(hidden: &[&str]) -> Self {
        let mut home = Self::new();
        if rustix::process::geteuid().is_root() {
            let hull = hull();
            let lib = match env::var_os("HULL_LIB") {
                Some(lib) => lib.into(),
                None => hull.parent().expect("a file is in a directory").to_owned(),
            };
            let user = User::new(&hull, &lib, hidden);
            user.own(home.path());
            home.user = Some(user);
        }
        home
    }

    /// Loads an image: it is then called `NAME:latest`, without a registry.
    pub fn load(&self, image: Image) {
        let dir = tempfile::tempdir().expect("a temp dir");
        let archive = fs::read(archive(image, dir.path())).expect("an archive");
        self.hull_with_input(&["load", "-q"], archive).success();
    }

    /// Makes a home whose daemon will read `config` (TOML).
    pub fn configured(config: &str) -> Self {
        let home = Self::new();
        fs::write(home.path().join("config.toml"), config).expect("config.toml");
        home
    }

    /// Makes a home that has pulled `images` from `registry`.
    pub fn with_images(registry: &Registry, images: &[Image]) -> Self {
        let home = Self::new();
        home.pull(registry, images);
        home
    }

    /// Makes a home that has busybox, the registry that it came from, and the image's name.
    pub fn with_busybox() -> (Registry, Self, String) {
        Self::configured_with_busybox("")
    }

    /// [`Home::with_busybox`] whose daemon has read `config` (TOML).
    pub fn configured_with_busybox(config: &str) -> (Registry, Self, String) {
        let registry = Registry::with_images(&[Image::Busybox]);
        let home = Self::configured(config);
        home.pull(&registry, &[Image::Busybox]);
        let image = registry.name(&Image::Busybox);
        (registry, home, image)
    }

    /// Makes a home that has Python, the registry that it came from, and the image's name.
    pub fn with_python() -> (Registry, Self, String) {
        let registry = Registry::with_images(&[Image::Python]);
        let home = Self::with_images(&registry, &[Image::Python]);
        let image = registry.name(&Image::Python);
        (registry, home, image)
    }

    /// Pulls `images` from `registry`.
    pub fn pull(&self, registry: &Registry, images: &[Image]) {
        for image in images {
            self.hull(&["pull", "-q", &registry.name(image)]).success();
        }
    }

    /// Returns the state directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path().join("hull.sock")
    }

    /// Returns a command that runs hull in this home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.user {
            Some(user) => user.command(),
            None => Command::new(hull()),
        };
        command.args(arguments);
        command.env("HULL_HOME", self.path());
        for name in ["HULL_HOST", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_DEFAULT_PLATFORM"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs hull without input.
    #[track_caller]
    pub fn hull(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments), LIMIT)
    }

    /// Runs hull with `input` as its standard input.
    #[track_caller]
    pub fn hull_with_input(&self, arguments: &[&str], input: impl Into<Vec<u8>>) -> Output {
        run_with_input(&mut self.command(arguments), input.into(), LIMIT)
    }

    /// Returns how the machine of `container` came to be: `cold`, `fork` or `pool`; and the
    /// template's key, or why there is none.
    #[track_caller]
    pub fn origin(&self, container: &str) -> (String, String) {
        let json = self.hull(&["inspect", "-f", "{{json .Hull.Start}}", container]).success();
        let start: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let text = |key: &str| start[key].as_str().unwrap_or_default().to_owned();
        (text("Mode"), text("Template") + &text("Reason"))
    }

    /// Returns what the supervisor of `container` has written down of its run.
    #[track_caller]
    pub fn state(&self, container: &str) -> serde_json::Value {
        let id = self.hull(&["inspect", "-f", "{{.Id}}", container]).success();
        let path = self.path().join("containers").join(id).join("state.json");
        serde_json::from_slice(&fs::read(path).expect("state.json")).expect("JSON")
    }

    /// Returns the pid of the VMM of a running container.
    #[track_caller]
    pub fn machine_pid(&self, container: &str) -> u32 {
        let state = self.state(container);
        let pid = state["vmm_pid"].as_u64().and_then(|pid| pid.try_into().ok());
        pid.unwrap_or_else(|| panic!("no vmm_pid: {state}"))
    }

    /// Returns the file names in a directory of the home, sorted; none if it is not there.
    pub fn files(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path().join(directory)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Returns the pid of the daemon.
    pub fn daemon_pid(&self) -> u32 {
        let text = fs::read_to_string(self.path().join("daemon.pid")).expect("daemon.pid");
        text.trim().parse().expect("a pid in daemon.pid")
    }

    /// Returns pid and command line of every process whose command line, working directory or
    /// environment names this home.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let home = self.path().to_string_lossy().into_owned();
        let own = std::process::id();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let read = |name: &str| {
                let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).replace('\0', " ")
            };
            let command_line = read("cmdline");
            let directory = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let mentions = command_line.contains(&home)
                || directory.starts_with(self.path())
                || read("environ").contains(&format!("HULL_HOME={home} "));
            if pid != own && mentions && !command_line.is_empty() {
                found.push((pid, command_line));
            }
        }
        found
    }

    /// Returns the pids of those of [`Home::processes`] whose command line has `word`.
    pub fn pids(&self, word: &str) -> Vec<u32> {
        let found = self.processes();
        found.iter().filter(|(_, line)| line.contains(word)).map(|(pid, _)| *pid).collect()
    }

    /// Returns the processes that are left after up to ten seconds.
    fn remaining(&self) -> Vec<(u32, String)> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.processes();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let stopped = run(&mut self.command(&["system", "stop"]), LIMIT);
        let left = self.remaining();
        for (pid, _) in &left {
            if let Some(pid) = rustix::process::Pid::from_raw(*pid as i32) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        if !left.is_empty() {
            // The directory goes next, and they may be writing to it.
            self.remaining();
        }
        if !thread::panicking() {
            assert!(left.is_empty(), "left running: {left:?}\nstop: {stopped:?}");
        } else {
            let log = fs::read_to_string(self.path().join("daemon.log")).unwrap_or_default();
            eprintln!("--- daemon.log\n{log}");
        }
    }
}

/// Returns the binary under test: `HULL_BIN`, else what `make build` made.
pub fn hull() -> PathBuf {
    if let Some(path) = env::var_os("HULL_BIN") {
        return path.into();
    }
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let path = target.join("release/hull");
    assert!(path.exists(), "{} is missing: run `make build` first", path.display());
    path
}
