//! Bare `runc run` of the same program: the floor that a shared kernel sets.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use hull_tests::Output;
use serde_json::Value;
use tempfile::TempDir;

/// A bundle with busybox.
#[derive(Debug)]
pub(crate) struct Runc {
    bundle: TempDir,
}

impl Runc {
    /// Makes the bundle; the error says why runc cannot be measured.
    pub(crate) fn new() -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let bundle = TempDir::new().map_err(text)?;
        let bin = bundle.path().join("rootfs/bin");
        fs::create_dir_all(&bin).map_err(text)?;
        fs::copy("/bin/busybox", bin.join("busybox")).map_err(text)?;
        symlink("busybox", bin.join("true")).map_err(text)?;
        let spec = Command::new("runc").arg("spec").current_dir(bundle.path()).status();
        if !spec.map_err(text)?.success() {
            return Err("`runc spec` failed".into());
        }
        let path = bundle.path().join("config.json");
        let mut config: Value = fs::read_to_string(&path)
            .map_err(text)
            .and_then(|config| serde_json::from_str(&config).map_err(|error| error.to_string()))?;
        config["process"]["args"] = serde_json::json!(["true"]);
        config["process"]["terminal"] = false.into();
        fs::write(&path, config.to_string()).map_err(text)?;
        let runc = Self { bundle };
        let first = runc.run();
        if first.code == 0 { Ok(runc) } else { Err(first.errors()) }
    }

    pub(crate) fn run(&self) -> Output {
        let mut command = Command::new("runc");
        let root = self.bundle.path().join("state");
        command.arg("--root").arg(root).args(["run", "--bundle"]).arg(self.bundle.path());
        hull_tests::run(command.arg("hull-bench"), Duration::from_secs(60))
    }
}
