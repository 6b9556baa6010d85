//! File systems of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::run;

/// A small file system in memory, unmounted with the value.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `mebibytes` at `path`; the error says why this host does not do it.
    pub fn mount(path: &Path, mebibytes: u32) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("mounting needs root".into());
        }
        mount(&format!("size={mebibytes}m,mode=700"), path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Changes its size.
    #[track_caller]
    pub fn resize(&self, mebibytes: u32) {
        mount(&format!("remount,size={mebibytes}m"), &self.path).expect("remount");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        run(command.arg("-l").arg(&self.path), LIMIT);
    }
}

fn mount(options: &str, path: &Path) -> Result<(), String> {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "hull-test"]).arg(path);
    let output = run(&mut command, LIMIT);
    if output.code == 0 { Ok(()) } else { Err(output.errors()) }
}

const LIMIT: Duration = Duration::from_secs(20);
