//! An ordinary user, for tests that root runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::server::Server;

/// A user without a name, and a mount namespace in which things are as an ordinary host has them:
/// anybody may make taps, and reach the binary under test.
#[derive(Debug)]
pub(crate) struct User {
    holder: Server,
    dir: TempDir,
}

impl User {
    /// Makes a user who can run `hull` with the files of `lib`; programs of `hidden` are as if they
    /// were not installed.
    pub(crate) fn new(hull: &Path, lib: &Path, hidden: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("hull-user-").tempdir().expect("a temp dir");
        open_to_all(dir.path());
        copy(hull, &dir.path().join("hull"));
        for file in fs::read_dir(lib).expect("files of the guest").flatten() {
            let name = file.file_name();
            if matches!(name.to_str(), Some("vmlinux" | "hull-init" | "libhull_remap.so")) {
                copy(&file.path(), &dir.path().join(name));
            }
        }
        let ready = dir.path().join("ready");
        let mut script = "mount --make-rprivate /\n\
                          mount -t tmpfs -o mode=755 tmpfs /dev/net\n\
                          mknod -m 666 /dev/net/tun c 10 200\n"
            .to_owned();
        for program in hidden {
            script.push_str(&format!("[ ! -e {program} ] || mount --bind /dev/null {program}\n"));
        }
        script.push_str(&format!("touch {}\nexec sleep 3600\n", ready.display()));
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &script]);
        let holder = Server::start(&mut command, &dir.path().join("log"), || ready.exists());
        Self { holder: holder.unwrap_or_else(|error| panic!("{error}")), dir }
    }

    /// Gives a directory to the user.
    pub(crate) fn own(&self, path: &Path) {
        chown(path, Some(ID), Some(ID)).expect("root may chown");
    }

    /// Returns a command that runs hull as the user.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.holder.pid()))
            .args(["--mount", "--", "setpriv"])
            .args([format!("--reuid={ID}"), format!("--regid={ID}"), "--clear-groups".into()])
            .arg("--")
            .arg(self.dir.path().join("hull"))
            .env("HULL_LIB", self.dir.path())
            .env("HOME", self.dir.path());
        command
    }
}

fn copy(from: &Path, to: &PathBuf) {
    fs::copy(from, to).unwrap_or_else(|error| panic!("copy {}: {error}", from.display()));
    open_to_all(to);
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// Of nobody who is there.
const ID: u32 = 61_234;
