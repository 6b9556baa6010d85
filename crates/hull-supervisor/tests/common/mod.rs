//! Containers in real machines. What they need is looked for, and its absence printed.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hull_supervisor::client::{Attached, Client, Control, Piece, spawn};
use hull_supervisor::control::{Attach, Channel, Exit};
use hull_supervisor::state::State;
use tokio::time::timeout;

pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const ALL: Attach = Attach { stdin: true, stdout: true, stderr: true };

/// A home with a busybox image in it.
pub(crate) struct Home {
    home: tempfile::TempDir,
    lib: PathBuf,
}

impl Home {
    /// Returns `None`, having printed why, where there is nothing to boot.
    pub(crate) fn new() -> Option<Self> {
        let lib = std::env::var_os("HULL_TEST_LIB").or_else(|| std::env::var_os("HULL_LIB"));
        let Some(lib) = lib.map(PathBuf::from) else {
            println!("skipped: neither HULL_TEST_LIB nor HULL_LIB says where kernel and agent are");
            return None;
        };
        for name in ["vmlinux", "hull-init"] {
            if !lib.join(name).exists() {
                println!("skipped: no {name} in {}", lib.display());
                return None;
            }
        }
        let arch = hull_vmm::Arch::host()?;
        if hull_vmm::qemu::find(arch).is_err() {
            println!("skipped: QEMU is not installed");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        if !image(home.path()) {
            println!("skipped: no mkfs.erofs or no static busybox to make an image with");
            return None;
        }
        Some(Self { home, lib })
    }

    /// Makes a container whose init process is `script`, run by a shell.
    pub(crate) fn container(
        &self,
        script: &str,
        change: impl FnOnce(&mut serde_json::Value),
    ) -> PathBuf {
        let home = self.home.path();
        let dir = home.join(format!("container{}", std::fs::read_dir(home).unwrap().count()));
        std::fs::create_dir(&dir).unwrap();
        let mut launch = serde_json::json!({
            "container": "c".repeat(64),
            "machine": {
                "home": home,
                "kernel": self.lib.join("vmlinux").canonicalize().unwrap(),
                "agent": self.lib.join("hull-init").canonicalize().unwrap(),
                "probe_cache": home.join("probe.json"),
                "vcpus": 1,
                "memory": 128 << 20,
            },
            "disks": { "image": home.join("image.erofs") },
            "spec": spec(&["sh", "-c", script]),
            "log": { "driver": "json-file", "path": dir.join("json.log") },
            "discard": true,
        });
        change(&mut launch);
        std::fs::write(dir.join("launch.json"), launch.to_string()).unwrap();
        dir
    }

    /// Makes a VMDK descriptor of the image and nothing after it.
    pub(crate) fn descriptor(&self) -> PathBuf {
        let sectors = std::fs::metadata(self.home.path().join("image.erofs")).unwrap().len() / 512;
        let path = self.home.path().join("roots/disk.vmdk");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let text = format!(
            "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
             createType=\"monolithicFlat\"\n\nRW {sectors} FLAT \"../image.erofs\" 0\n\
             RW 1048576 ZERO\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Makes a writable disk.
    pub(crate) fn scratch(&self) -> PathBuf {
        let path = self.home.path().join("scratch.ext4");
        let file = std::fs::File::create(&path).unwrap();
        hull_ext4::format(&file, &hull_ext4::Options::new(1 << 30, [7; 16])).unwrap();
        path
    }
}

/// Starts a supervisor.
pub(crate) async fn supervise(dir: &Path) -> Control {
    let program = std::env::current_exe().unwrap();
    let program = program.parent().unwrap().parent().unwrap().join("examples/supervise");
    assert!(program.exists(), "`cargo build --example supervise` makes {}", program.display());
    spawn(&program, dir, None).await.unwrap()
}

/// Starts a container and attaches to it before.
pub(crate) async fn start(dir: &Path) -> (Client, Attached, State) {
    let control = supervise(dir).await;
    let client = control.client();
    let attached = client.attach(ALL).await.unwrap();
    match timeout(SOON, control.start()).await.unwrap() {
        Ok(state) => (client, attached, state),
        Err(error) => {
            panic!("{error}\n{}", std::fs::read_to_string(dir.join("boot.log")).unwrap_or_default())
        }
    }
}

/// Reads output to the end.
pub(crate) async fn read(attached: &mut Attached) -> (Vec<u8>, Vec<u8>, Option<Exit>) {
    let (mut stdout, mut stderr, mut exit) = (Vec::new(), Vec::new(), None);
    while let Some(piece) = timeout(SOON, attached.output.next()).await.unwrap().unwrap() {
        match piece {
            Piece::Data(Channel::Stdout, bytes) => stdout.extend_from_slice(&bytes),
            Piece::Data(Channel::Stderr, bytes) => stderr.extend_from_slice(&bytes),
            Piece::Exit(ended) => exit = Some(ended),
            Piece::InputClosed => {}
        }
    }
    (stdout, stderr, exit)
}

pub(crate) fn process(arguments: &[&str]) -> serde_json::Value {
    serde_json::json!({ "args": arguments, "env": ["PATH=/bin"], "cwd": "/" })
}

fn spec(arguments: &[&str]) -> serde_json::Value {
    serde_json::json!({
        "ociVersion": "1.2.0",
        "process": process(arguments),
        "root": { "path": "rootfs" },
        "hostname": "test",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
            {
                "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666", "mode=0620"],
            },
        ],
        "linux": {
            "namespaces": [
                { "type": "pid" }, { "type": "mount" }, { "type": "uts" }, { "type": "ipc" },
                { "type": "cgroup" },
            ],
            "seccomp": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 },
            ]},
        },
    })
}

/// Makes an image of busybox.
fn image(home: &Path) -> bool {
    let root = home.join("root");
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    if std::fs::copy("/bin/busybox", root.join("bin/busybox")).is_err() {
        return false;
    }
    let applets = "cat dd echo false head hostname kill md5sum mkdir seq sh sleep stty true wc yes";
    for applet in applets.split(' ') {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
    std::fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
    Command::new("mkfs.erofs")
        .args(["--quiet".as_ref(), home.join("image.erofs").as_os_str(), root.as_os_str()])
        .output()
        .is_ok_and(|output| output.status.success())
}
