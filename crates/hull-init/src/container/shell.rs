//! Containers made ahead: cgroup, namespaces, mounts and a process that waits to be told which
//! container it is to become.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use hull_protocol::Create;
use hull_spec::{Resources, Spec};

use crate::container::cgroup::Cgroup;
use crate::container::control::{self, Report};
use crate::container::mounts::clone_tree;
use crate::container::pattern::Pattern;
use crate::container::rootfs::MountedRoot;
use crate::container::spawn::{Pipes, Spawned, abandon, fork};
use crate::container::stage;
use crate::failure::{Context, Failure, Result};
use crate::sys::Fork;

/// All containers made ahead that have not become one, and what they are good for.
#[derive(Debug)]
pub(crate) struct Shells {
    pattern: Pattern,
    waiting: Vec<Shell>,
}

/// A process that waits in a container without a root.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) cgroup: Cgroup,
    pid: i32,
    pidfd: OwnedFd,
    control: OwnedFd,
}

impl Shells {
    /// Makes `count` containers after `pattern`.
    pub(crate) fn make(pattern: Pattern, count: u32) -> Result<Self> {
        let mut shells = Self { pattern, waiting: Vec::new() };
        for number in 0..count {
            match Shell::make(&shells.pattern, number) {
                Ok(shell) => shells.waiting.push(shell),
                Err(failure) => {
                    shells.dismiss();
                    return Err(failure);
                }
            }
        }
        // The first one made is the first one used.
        shells.waiting.reverse();
        Ok(shells)
    }

    /// Returns one that can become the container of a request.
    pub(crate) fn take(&mut self, spec: &Spec, request: &Create) -> Option<Shell> {
        if !self.pattern.fits(spec, request) {
            return None;
        }
        self.waiting.pop()
    }

    /// Ends those that are left.
    pub(crate) fn dismiss(&mut self) {
        for shell in self.waiting.drain(..) {
            shell.dismiss();
        }
    }
}

impl Shell {
    fn make(pattern: &Pattern, number: u32) -> Result<Self> {
        let cgroup = Cgroup::create(&format!("hull/{number}"))?;
        match Self::fork(pattern, number, &cgroup) {
            Ok((pid, pidfd, control)) => Ok(Self { cgroup, pid, pidfd, control }),
            Err(failure) => {
                cgroup.remove();
                Err(failure)
            }
        }
    }

    fn fork(pattern: &Pattern, number: u32, cgroup: &Cgroup) -> Result<(i32, OwnedFd, OwnedFd)> {
        let no_resources = Resources::default();
        let directory = cgroup.open()?;
        let resources = pattern.linux.resources.as_ref().unwrap_or(&no_resources);
        cgroup.apply_devices(resources, &directory)?;
        let (agent, control) = control::pair().context(|| "socketpair".into())?;
        match fork(pattern.namespaces & !libc::CLONE_NEWCGROUP, &directory)? {
            Fork::Child => stage::run(pattern, number, control),
            Fork::Parent { pid, pidfd } => {
                drop(control);
                let failure = match control::wait(&agent, Duration::from_secs(20)) {
                    Some(Report::Staged) => return Ok((pid, pidfd, agent)),
                    Some(Report::Failed(failure)) => failure,
                    _ => Failure::failed("a container made ahead ended, or took too long"),
                };
                abandon(pid, &pidfd);
                Err(failure)
            }
        }
    }

    /// Tells the process what it is to become: `message` is the request as the host sent it. It
    /// goes on with everything for which it needs no root.
    pub(crate) fn assign(&self, message: &[u8], pipes: &Pipes) -> Result<()> {
        let fds: Vec<BorrowedFd<'_>> = pipes.process.iter().flatten().map(AsFd::as_fd).collect();
        let present = pipes.process.iter().enumerate();
        let present = present.fold(0, |bits, (at, fd)| bits | u8::from(fd.is_some()) << at);
        control::hand(&self.control, &[present], message, &fds)
            .context(|| "tell a container made ahead what it is".into())
    }

    /// Gives it its root, which is in the agent's namespace until then, and where its volumes are.
    pub(crate) fn furnish(&self, root: &MountedRoot, has_volumes: bool) -> Result<()> {
        let what = || "hand a root over".to_owned();
        let tree = clone_tree(root.open()?.as_fd()).context(what)?;
        let base = match has_volumes {
            true => Some(clone_tree(root.open_base()?.as_fd()).context(what)?),
            false => None,
        };
        let fds: Vec<BorrowedFd<'_>> =
            [Some(&tree), base.as_ref()].into_iter().flatten().map(AsFd::as_fd).collect();
        control::hand(&self.control, &[u8::from(root.fresh)], &[], &fds).context(what)
    }

    /// Ends it; nobody knows of it any more.
    pub(crate) fn dismiss(self) {
        abandon(self.pid, &self.pidfd);
        self.cgroup.remove();
    }

    /// The parts of it that the container goes on with.
    pub(crate) fn spawned(self, pipes: Pipes) -> (Cgroup, Spawned) {
        let spawned =
            Spawned { pid: self.pid, pidfd: self.pidfd, control: self.control, stdio: pipes.agent };
        (self.cgroup, spawned)
    }
}

/// Whether a request is short enough for [`Shell::assign`].
pub(crate) fn can_carry(message: &[u8]) -> bool {
    message.len() < control::MAX_MESSAGE
}
