//! One container: its root file system, cgroup and processes.

mod capabilities;
pub(crate) mod cgroup;
pub(crate) mod control;
mod device_filter;
mod devices;
mod exec;
mod init;
mod mount_options;
pub(crate) mod mounts;
pub(crate) mod paths;
mod pattern;
pub(crate) mod process;
pub(crate) mod program;
mod rlimits;
pub(crate) mod rootfs;
pub(crate) mod seccomp;
mod shares;
mod shell;
mod skeleton;
pub(crate) mod spawn;
mod stage;
mod throttle;
pub(crate) mod tty;
pub(crate) mod user;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_spec::Spec;

use crate::container::cgroup::Cgroup;
use crate::container::rootfs::MountedRoot;
use crate::disks::Disks;
use crate::failure::Result;

pub(crate) use control::{Report, go, receive};
pub(crate) use pattern::Pattern;
pub(crate) use shell::{Keys, Shells};

/// A container that has been created and not deleted.
#[derive(Debug)]
pub(crate) struct Container {
    /// Number for the poller.
    pub(crate) key: u32,
    pub(crate) cgroup: Cgroup,
    pub(crate) root: MountedRoot,
    /// Key of the init process; that of a process that has ended stays.
    pub(crate) init: u32,
    /// `CLONE_NEW*` that it does not share with the guest.
    namespaces: i32,
    /// Groups that every process is in besides its user's.
    groups: Vec<String>,
    /// How seccomp programs are loaded.
    seccomp_flags: Vec<String>,
    pub(crate) state: State,
    /// The root as its processes see it, for as long as there are any.
    live_root: Option<OwnedFd>,
    /// The root that a container made ahead was given, until its process is in it.
    given_root: Option<OwnedFd>,
    /// Namespaces that live on until it is deleted: the end of its processes does not wait for
    /// their end.
    pinned: Vec<OwnedFd>,
    /// `memory.events`, watched.
    pub(crate) memory_events: Option<OwnedFd>,
    /// `cgroup.events`, watched while it is being frozen.
    pub(crate) cgroup_events: Option<OwnedFd>,
    /// Processes killed for want of memory so far.
    pub(crate) oom_kills: u64,
    /// Requests that wait for it to be frozen.
    pub(crate) freezing: Vec<u32>,
    /// Request to start that came before the init process was ready.
    pub(crate) start: Option<u32>,
    /// Request that waits for it to be gone.
    pub(crate) delete: Option<u32>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// The init process is being set up.
    Creating,
    /// The init process waits for the word to execute.
    Created,
    Running,
    Stopped,
}

impl Container {
    /// Notes that the init process `pid` has entered the container's root.
    pub(crate) fn entered(&mut self, pid: i32) {
        self.live_root = self.given_root.take();
        if self.live_root.is_none() {
            let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
            let path = format!("/proc/{pid}/root");
            self.live_root = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok();
        }
    }

    /// Notes that the init process has ended.
    pub(crate) fn stopped(&mut self) {
        self.state = State::Stopped;
        // Mounts of a namespace that is gone: nothing may keep them.
        self.live_root = None;
        self.given_root = None;
        self.cgroup_events = None;
    }

    /// Returns the kinds of namespaces (`CLONE_NEW*`) that it does not share with the guest.
    pub(crate) fn namespaces(&self) -> i32 {
        self.namespaces
    }

    /// Returns the root with all mounts of the container while it lives, then without them.
    pub(crate) fn view(&self) -> Result<OwnedFd> {
        match &self.live_root {
            Some(root) => Ok(rustix::io::fcntl_dupfd_cloexec(root, 3)
                .map_err(|errno| crate::failure::Failure::failed(format!("dup: {errno}")))?),
            None => self.root.open(),
        }
    }

    /// Returns how many of its processes were killed for want of memory.
    pub(crate) fn read_oom_kills(&self) -> u64 {
        let mut buffer = [0; 512];
        let read = self
            .memory_events
            .as_ref()
            .and_then(|events| rustix::io::pread(events, &mut buffer[..], 0).ok());
        let Some(length) = read else {
            return self.oom_kills;
        };
        let lines = String::from_utf8_lossy(&buffer[..length]);
        cgroup::value(&lines, "oom_kill").unwrap_or(self.oom_kills)
    }

    /// Unmounts its root file system.
    pub(crate) fn unmount(&mut self, disks: &mut Disks) -> Result<()> {
        self.live_root = None;
        self.given_root = None;
        self.pinned.clear();
        self.root.unmount(disks)
    }

    /// Whether the kernel kills its processes when the first of them ends.
    pub(crate) fn ends_with_init(&self) -> bool {
        self.namespaces & libc::CLONE_NEWPID != 0
    }

    fn live_root(&self) -> Option<BorrowedFd<'_>> {
        self.live_root.as_ref().map(AsFd::as_fd)
    }
}

/// Returns the `CLONE_NEW*` flags for the namespaces of a specification. The mount namespace is
/// always the container's own; the network is the guest's, which is the container's alone; and
/// user namespaces are needless in a machine of one's own.
fn namespace_flags(spec: &Spec) -> i32 {
    let listed = spec.linux.iter().flat_map(|linux| &linux.namespaces);
    listed.fold(libc::CLONE_NEWNS, |flags, namespace| {
        flags
            | match namespace.kind.as_str() {
                "pid" => libc::CLONE_NEWPID,
                "uts" => libc::CLONE_NEWUTS,
                "ipc" => libc::CLONE_NEWIPC,
                "cgroup" => libc::CLONE_NEWCGROUP,
                "time" => CLONE_NEWTIME,
                _ => 0,
            }
    })
}

const CLONE_NEWTIME: i32 = 0x80;
