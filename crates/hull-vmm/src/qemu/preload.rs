//! The library that is preloaded into processes that can be forked.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;

use tokio::net::UnixStream;

use crate::platform;
use crate::snapshot::ForkError;

use super::Qemu;
use super::process::asynchronous;

/// `hull-remap`, and the connection that it listens to.
pub(super) struct Preload {
    pub(super) path: PathBuf,
    library: OwnedFd,
    its_control: OwnedFd,
    /// This process's end of the connection.
    pub(super) control: UnixStream,
}

impl Preload {
    pub(super) fn new(qemu: &Qemu) -> Result<Self, ForkError> {
        if !cfg!(target_os = "linux") {
            return Err(ForkError::Unsupported);
        }
        let path = qemu.library.clone().ok_or(ForkError::NoLibrary)?;
        let library = File::open(&path)
            .map_err(|source| ForkError::Library { path: path.clone(), source })?;
        let (control, its_control) = StdUnixStream::pair().map_err(ForkError::Channel)?;
        let control = asynchronous(control).map_err(ForkError::Channel)?;
        Ok(Self { path, library: library.into(), its_control: its_control.into(), control })
    }

    /// Returns what the process's environment has to say of it.
    pub(super) fn environment(&self) -> [(&'static str, OsString); 2] {
        [
            // By its descriptor: the loader would split a path at colons and spaces.
            ("LD_PRELOAD", platform::descriptor_path(&self.library).into()),
            ("HULL_CONTROL_FD", self.its_control.as_raw_fd().to_string().into()),
        ]
    }

    /// Returns what the process has to inherit, this process's end of the connection, and the
    /// library's path.
    pub(super) fn into_parts(self) -> ([OwnedFd; 2], UnixStream, PathBuf) {
        ([self.library, self.its_control], self.control, self.path)
    }
}
