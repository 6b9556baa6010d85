//! The child that waits in a container made ahead, and what it has made ready.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_protocol::Request;
use hull_spec::{Mount, Spec};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, OpenTreeFlags, UnmountFlags, mount, open_tree, unmount};

use crate::container::init::{self, Job, Place, Root};
use crate::container::mounts::{self, attach_at};
use crate::container::paths::{is_directory, resolve};
use crate::container::pattern::{Pattern, is_staged};
use crate::container::process::{self, Plan};
use crate::container::seccomp::Program;
use crate::container::{control, devices};
use crate::failure::{Context, Failure, Result};
use crate::setup::{STATE_DIR, make_dir};
use crate::sys;

/// What stands ready: mounts that wait to be bound into a root.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Directory with all of it.
    path: String,
    /// The mounts, as they will be in the root.
    root: OwnedFd,
    mounts: Vec<Mount>,
    pub(crate) oom_score_adj: Option<i32>,
    /// Kernel parameters that are set already.
    pub(crate) sysctls: Vec<String>,
    /// Empty read-only file systems for paths to be hidden behind, by their paths.
    masks: Vec<String>,
}

impl Stage {
    fn make(pattern: &Pattern, number: usize) -> Result<Self> {
        leave_disks()?;
        let path = format!("{STATE_DIR}/.stage/{number}");
        let directories = [
            format!("{STATE_DIR}/.stage"),
            path.clone(),
            format!("{path}/mounts"),
            format!("{path}/root"),
        ];
        for directory in &directories {
            make_dir(directory).context(|| format!("mkdir {directory}"))?;
        }
        let mut stage = Self {
            root: open(&format!("{path}/mounts"))?,
            path,
            mounts: Vec::new(),
            oom_score_adj: pattern.oom_score_adj,
            sysctls: pattern.shared_sysctls().map(|(key, _)| key.clone()).collect(),
            masks: Vec::new(),
        };
        for mount in pattern.mounts.iter().filter(|mount| is_staged(mount)) {
            mounts::make(stage.root.as_fd(), mount)?;
            stage.mounts.push(mount.clone());
        }
        devices::make(stage.root.as_fd(), &pattern.linux.devices)?;
        for path in &pattern.linux.masked_paths {
            if resolve(&stage.root, path).and_then(is_directory).unwrap_or(false) {
                stage.add_mask()?;
            }
        }
        stage.masks.reverse();
        Ok(stage)
    }

    fn add_mask(&mut self) -> Result<()> {
        let path = format!("{}/mask{}", self.path, self.masks.len());
        let what = || format!("mount {path}");
        make_dir(&path).context(what)?;
        mount("tmpfs", path.as_str(), "tmpfs", MountFlags::RDONLY, None).context(what)?;
        self.masks.push(path);
        Ok(())
    }

    /// Returns a mount that has been made already, to be put where it belongs.
    pub(crate) fn mounted(&self, mount: &Mount) -> Option<rustix::io::Result<OwnedFd>> {
        if !self.mounts.contains(mount) {
            return None;
        }
        Some(clone(&self.root, mount.destination.trim_start_matches('/')))
    }

    /// Whether /dev is among the mounts, with all that belongs into it.
    pub(crate) fn has_dev(&self, mounts: &[Mount]) -> bool {
        mounts.iter().any(|mount| mount.destination == "/dev" && self.mounts.contains(mount))
    }

    /// Returns an empty read-only file system that nothing else uses.
    pub(crate) fn mask(&mut self) -> Option<rustix::io::Result<OwnedFd>> {
        let path = self.masks.pop()?;
        Some(clone(rustix::fs::CWD, &path))
    }

    /// Moves to another network namespace. Not for it are kernel parameters, and
    /// the sysfs that shows interfaces.
    fn isolate(mut self, network: &OwnedFd) -> Result<Self> {
        sys::setns(network.as_fd(), libc::CLONE_NEWNET)
            .context(|| "change the network namespace".into())?;
        self.sysctls.clear();
        self.mounts.retain(|mount| mount.kind != "sysfs");
        Ok(self)
    }

    /// Waits for the root.
    pub(crate) fn root(&self, control: &OwnedFd) -> Result<Root> {
        let mut fresh = [0];
        let Some((_, mut fds)) = control::take(control, &mut fresh) else {
            // Given up: there is nobody to tell.
            sys::exit_now(1);
        };
        let path = format!("{}/root", self.path);
        let shares = fds.split_off(fds.len().min(1));
        if let Some(tree) = fds.first() {
            let place = open(&path)?;
            attach_at(tree.as_fd(), place.as_fd()).context(|| "take over a root".into())?;
        }
        Ok(Root { path, fresh: fresh == [1], shares })
    }
}

/// Runs in the child, in the cgroup and the namespaces of a container that is not known yet.
pub(crate) fn run(
    pattern: &Pattern,
    number: usize,
    control: OwnedFd,
    stdio: [Option<OwnedFd>; 3],
) -> ! {
    // Touched now, not when it is needed.
    let mut message = vec![0xff; control::MAX_MESSAGE];
    let keep: Vec<BorrowedFd<'_>> =
        stdio.iter().flatten().chain([&control]).map(AsFd::as_fd).collect();
    let stage = sys::close_except(&keep)
        .context(|| "close descriptors".into())
        .and_then(|()| process::begin())
        .and_then(|()| process::set_oom_score(pattern.oom_score_adj))
        .and_then(|()| init::enter_cgroup_namespace(&pattern.linux))
        .and_then(|()| Stage::make(pattern, number));
    let stage = match stage {
        Ok(stage) => stage,
        Err(failure) => process::report(control.as_fd(), &failure),
    };
    if control::staged(&control).is_err() {
        sys::exit_now(1);
    }
    let Some((length, network)) = control::take(&control, &mut message) else {
        sys::exit_now(0);
    };
    let isolated = match network.first() {
        Some(network) => stage.isolate(network),
        None => Ok(stage),
    };
    let assigned = isolated.and_then(|stage| assigned(&message[..length], stdio, stage, &control));
    match assigned {
        Ok(never) => match never {},
        Err(failure) => process::report(control.as_fd(), &failure),
    }
}

/// Becomes the container of a request, as [`crate::container::shell::Shell::assign`] wrote it.
fn assigned(
    message: &[u8],
    mut stdio: [Option<OwnedFd>; 3],
    stage: Stage,
    control: &OwnedFd,
) -> Result<std::convert::Infallible> {
    let malformed = || Failure::failed("the agent handed a malformed request over");
    let (wanted, request) = message.split_first().ok_or_else(malformed)?;
    let Ok(Request::Create(create)) = serde_json::from_slice(request) else {
        return Err(malformed());
    };
    let mut spec: Spec = serde_json::from_str(create.spec.get()).map_err(|_| malformed())?;
    let process = spec.process.take().ok_or_else(malformed)?;
    for (bit, pipe) in stdio.iter_mut().enumerate() {
        pipe.take_if(|_| wanted & 1 << bit == 0);
    }
    let plan = Plan {
        process,
        user: create.user.clone(),
        groups: create.groups.clone(),
        seccomp: Program::of(&spec, create.seccomp.as_deref())?,
        stdio,
        terminal: create.stdio.terminal,
        control: control.try_clone().map_err(|_| malformed())?,
    };
    init::run(Job { spec: &spec, create: &create, place: Place::Staged(stage), plan })
}

/// Leaves the disks to the agent: what it unmounts must not live on in here.
fn leave_disks() -> Result<()> {
    let disks = std::fs::read_dir(format!("{STATE_DIR}/disk"));
    for disk in disks.into_iter().flatten().flatten() {
        unmount(disk.path(), UnmountFlags::DETACH)
            .context(|| format!("unmount {}", disk.path().display()))?;
    }
    Ok(())
}

/// Returns a bind mount of one mount, without those below it.
fn clone(at: impl AsFd, path: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(at, path, flags)
}

fn open(path: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).context(|| format!("open {path}"))
}
