//! The process of a machine.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitStatus;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use tokio::process::Child;

/// A process that is this one's child, or was forked by another machine's.
#[derive(Debug)]
pub(super) enum VmmProcess {
    Child(Child),
    Clone(Cloned),
}

impl VmmProcess {
    pub(super) fn id(&self) -> Option<u32> {
        match self {
            Self::Child(child) => child.id(),
            Self::Clone(clone) => u32::try_from(clone.pid).ok(),
        }
    }

    /// Ends it at once. Fails only if it has ended already.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Child(child) => drop(child.start_kill()),
            Self::Clone(clone) => clone.kill(),
        }
    }

    /// Waits for its end. Only a child tells how it ended.
    pub(super) async fn wait(&mut self) -> Option<ExitStatus> {
        match self {
            Self::Child(child) => child.wait().await.ok(),
            Self::Clone(clone) => {
                clone.ended().await;
                None
            }
        }
    }
}

/// A process that another machine's has forked. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Cloned {
    pid: i32,
    /// `pidfd_open(2)`; readable when the process has ended.
    pidfd: Arc<OwnedFd>,
}

impl Cloned {
    pub(super) fn new(pid: i32, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd: Arc::new(pidfd) }
    }

    #[cfg(target_os = "linux")]
    fn kill(&self) {
        let pidfd = self.pidfd.as_fd();
        let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
    }

    /// Processes are not forked here.
    #[cfg(not(target_os = "linux"))]
    fn kill(&self) {
        let _ = self.pidfd.as_fd();
    }

    /// Its owner asks when the monitor has closed: the end is near, if it has not come.
    async fn ended(&self) {
        let pidfd = self.pidfd.clone();
        let wait = move || {
            let mut end = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
            while rustix::event::poll(&mut end, None) == Err(Errno::INTR) {}
        };
        // Fails only where a runtime ends.
        let _ = tokio::task::spawn_blocking(wait).await;
    }
}

impl Drop for Cloned {
    fn drop(&mut self) {
        self.kill();
    }
}
