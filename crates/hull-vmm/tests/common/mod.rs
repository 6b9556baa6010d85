//! Real machines. What they need is looked for, and its absence printed.

// No test uses all of it.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::print_stdout)]

mod guest;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hull_vmm::qemu::probe::{Answer, Question, ask};
use hull_vmm::{Arch, Artifact, Choice, Configuration, DeviceSet, Disks, MachineType, Qemu, Shape};

pub(crate) use guest::Guest;

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What machines boot, and a directory for what they need.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) lib: PathBuf,
    pub(crate) kernel: Artifact,
    pub(crate) agent: Artifact,
}

impl Home {
    /// Returns `None`, having printed why, where there is nothing to boot.
    pub(crate) fn new() -> Option<Self> {
        let lib = std::env::var_os("HULL_TEST_LIB").or_else(|| std::env::var_os("HULL_LIB"));
        let Some(lib) = lib.map(PathBuf::from) else {
            println!("skipped: neither HULL_TEST_LIB nor HULL_LIB says where kernel and agent are");
            return None;
        };
        let files = ["vmlinux", "hull-init"].map(|name| Artifact::at(&lib.join(name)));
        let [Ok(kernel), Ok(agent)] = files else {
            println!("skipped: no vmlinux or hull-init in {}", lib.display());
            return None;
        };
        if hull_vmm::qemu::find(Arch::host()?).is_err() {
            println!("skipped: QEMU is not installed");
            return None;
        }
        Some(Self { dir: tempfile::tempdir().unwrap(), lib, kernel, agent })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Asks the host's QEMU what it can do; it is remembered.
    pub(crate) async fn probe(&self) -> Answer {
        let cache = self.path().join("probe.json");
        let question = Question {
            cache: &cache,
            arch: Arch::host().unwrap(),
            program: None,
            choice: Choice::Auto,
            kernel: &self.kernel,
            agent: &self.agent,
        };
        ask(question).await.unwrap()
    }

    /// Returns the host's QEMU, able to fork.
    pub(crate) fn qemu(&self, answer: &Answer) -> Qemu {
        answer.qemu.clone().with_library(self.lib.join("libhull_remap.so"))
    }

    pub(crate) fn shape(&self, answer: &Answer, devices: DeviceSet) -> Shape {
        let arch = Arch::host().unwrap();
        Shape {
            arch,
            machine: MachineType::of(arch),
            kernel: self.kernel.clone(),
            agent: self.agent.clone(),
            vmm: answer.qemu.version().to_string(),
            program: answer.program.clone(),
            accelerator: answer.accelerator,
            cpu: answer.accelerator.cpu_model(arch).to_owned(),
            host_cpu: answer.host_cpu.clone(),
            vcpus: 2,
            memory_mib: 512,
            devices,
            clock: answer.clock,
            format: Shape::FORMAT,
        }
    }

    pub(crate) fn configuration(&self, disks: Disks) -> Configuration {
        Configuration {
            name: "hull-test,with-comma".into(),
            working_dir: self.path().to_owned(),
            disks,
        }
    }

    /// Makes a disk with an image of busybox and a file `/etc/text` with `text`; returns
    /// `None`, having printed why, if it cannot be made.
    pub(crate) fn image(&self, text: &str) -> Option<PathBuf> {
        let root = self.path().join(format!("root-{text}"));
        for name in ["bin", "dev", "etc", "proc", "tmp"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        if std::fs::copy("/bin/busybox", root.join("bin/busybox")).is_err() {
            println!("skipped: busybox is not installed");
            return None;
        }
        std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
        std::fs::write(root.join("etc/text"), text).unwrap();
        let path = self.path().join(format!("image-{text}"));
        let made = Command::new("mkfs.erofs")
            .args(["--quiet".as_ref(), path.as_os_str(), root.as_os_str()])
            .output();
        if !made.is_ok_and(|output| output.status.success()) {
            println!("skipped: mkfs.erofs is not installed");
            return None;
        }
        Some(path)
    }
}

/// Gives the file `path` a disk's size.
pub(crate) fn grow(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(hull_vmm::disk::DISK_BYTES).unwrap();
}

/// Makes a VMDK descriptor of the file `image` and zeros.
pub(crate) fn descriptor(image: &Path) -> PathBuf {
    let sectors = std::fs::metadata(image).unwrap().len() / 512;
    let rest = hull_vmm::disk::DISK_BYTES / 512 - sectors;
    let path = image.with_extension("vmdk");
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
         createType=\"monolithicFlat\"\n\nRW {sectors} FLAT \"{}\" 0\nRW {rest} ZERO\n",
        image.file_name().unwrap().to_str().unwrap()
    );
    std::fs::write(&path, text).unwrap();
    path
}
