//! Bare `runc run` of the same program: the floor that a shared kernel sets.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::timed;
use crate::failure::Failure;

/// A bundle with busybox.
#[derive(Debug)]
pub(crate) struct Runc {
    bundle: TempDir,
}

impl Runc {
    /// Makes the bundle and tries it.
    ///
    /// # Errors
    /// Why runc cannot be measured here.
    pub(crate) fn new() -> Result<Self, Failure> {
        let bundle = tempfile::Builder::new()
            .prefix("hull-runc-")
            .tempdir()
            .map_err(Failure::file("make", std::env::temp_dir()))?;
        let bin = bundle.path().join("rootfs/bin");
        let busybox = bin.join("busybox");
        fs::create_dir_all(&bin)
            .and_then(|()| fs::copy("/bin/busybox", &busybox))
            .and_then(|_| symlink("busybox", bin.join("true")))
            .map_err(Failure::file("make", &busybox))?;
        timed(Command::new("runc").arg("spec").current_dir(bundle.path()))?;
        let path = bundle.path().join("config.json");
        let text = fs::read_to_string(&path).map_err(Failure::file("read", &path))?;
        let mut config: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::Unexpected(format!("`runc spec` wrote no JSON: {error}")))?;
        config["process"]["args"] = json!(["true"]);
        config["process"]["terminal"] = false.into();
        fs::write(&path, config.to_string()).map_err(Failure::file("write", &path))?;
        let runc = Self { bundle };
        runc.start()?;
        Ok(runc)
    }

    /// Takes the time of `runc run`.
    pub(crate) fn start(&self) -> Result<Duration, Failure> {
        let mut command = Command::new("runc");
        let root = self.bundle.path().join("state");
        command.arg("--root").arg(root).args(["run", "--bundle"]).arg(self.bundle.path());
        Ok(timed(command.arg("hull-bench"))?.took)
    }
}
