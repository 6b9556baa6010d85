//! Containers made ahead: cgroup, namespaces, mounts and a process that waits to be told which
//! container it is to become.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use hull_protocol::{Create, Stdio};
use hull_spec::{Resources, Spec};
use rustix::event::epoll::EventFlags;
use rustix::fs::{Mode, OFlags};

use crate::container::cgroup::Cgroup;
use crate::container::control::{self, Report};
use crate::container::pattern::Pattern;
use crate::container::rootfs::MountedRoot;
use crate::container::spawn::{Pipes, Spawned, abandon, fork};
use crate::container::stage;
use crate::failure::{Context, Failure, Result};
use crate::identity::{read_sysctl, write_sysctl};
use crate::poller::{Poller, Token};
use crate::sys::Fork;

/// All containers made ahead that have not become one, and what they are good for.
#[derive(Debug)]
pub(crate) struct Shells {
    pattern: Pattern,
    waiting: Vec<Shell>,
    /// What [`Pattern::shared_sysctls`] were before.
    sysctls: BTreeMap<String, String>,
    /// The network namespace of containers, if it is not the one that they have been made in.
    network: Option<OwnedFd>,
}

/// A process that waits in a container without a root.
#[derive(Debug)]
pub(crate) struct Shell {
    keys: Keys,
    cgroup: Cgroup,
    /// What `cgroup` is limited to.
    limits: Resources,
    memory_events: Option<OwnedFd>,
    namespaces: Vec<OwnedFd>,
    process: Waiting,
    /// The network namespace that it moves to.
    network: Option<OwnedFd>,
}

/// What a container goes on with of its [`Shell`].
#[derive(Debug)]
pub(crate) struct Furnished {
    pub(crate) keys: Keys,
    pub(crate) cgroup: Cgroup,
    pub(crate) memory_events: Option<OwnedFd>,
    /// Those of the process whose end takes long.
    pub(crate) namespaces: Vec<OwnedFd>,
}

/// The process of a [`Shell`], and what connects it.
#[derive(Debug)]
struct Waiting {
    pid: i32,
    pidfd: OwnedFd,
    control: OwnedFd,
    stdio: [Option<OwnedFd>; 3],
}

/// Numbers that a container and its first process have for the poller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    pub(crate) container: u32,
    pub(crate) child: u32,
}

impl Shells {
    /// Makes a container after `pattern` for each of `keys`.
    pub(crate) fn make(pattern: Pattern, keys: &[Keys], poller: &Poller) -> Result<Self> {
        let mut shells =
            Self { pattern, waiting: Vec::new(), sysctls: BTreeMap::new(), network: None };
        for (key, value) in shells.pattern.shared_sysctls() {
            shells.sysctls.insert(key.clone(), read_sysctl(key)?);
            write_sysctl(key, value)?;
        }
        // The last one made is the first one used.
        for (number, keys) in keys.iter().enumerate().rev() {
            let shell = Shell::make(&shells.pattern, number, *keys)
                .and_then(|shell| shell.watch(poller).map(|()| shell));
            match shell {
                Ok(shell) => shells.waiting.push(shell),
                Err(failure) => {
                    shells.dismiss();
                    return Err(failure);
                }
            }
        }
        Ok(shells)
    }

    /// Returns one that can become the container of a request.
    ///
    /// # Errors
    /// If kernel parameters that the container does not set cannot be set back.
    pub(crate) fn take(&mut self, spec: &Spec, request: &Create) -> Result<Option<Shell>> {
        if !self.sysctls.is_empty() && !self.pattern.shares_sysctls(spec) {
            self.give_up()?;
        }
        let mut shell = match self.pattern.fits(spec, request) {
            true => self.waiting.pop(),
            false => None,
        };
        if let (Some(shell), Some(network)) = (&mut shell, &self.network) {
            let network = network.try_clone();
            let what = |error| Failure::failed(format!("keep a network namespace: {error}"));
            shell.network = Some(network.map_err(what)?);
        }
        Ok(shell)
    }

    /// Has those that are taken from now on move to another network namespace.
    pub(crate) fn isolate(&mut self, network: OwnedFd) {
        self.network = Some(network);
    }

    /// Makes way for kernel parameters of the guest: those in `sysctls` are not what they were for
    /// the containers made ahead.
    pub(crate) fn yield_to(&mut self, sysctls: &BTreeMap<String, String>) -> Result<()> {
        match self.sysctls.keys().any(|key| sysctls.contains_key(key)) {
            true => self.give_up(),
            false => Ok(()),
        }
    }

    /// Undoes everything.
    fn give_up(&mut self) -> Result<()> {
        self.dismiss();
        for (key, value) in std::mem::take(&mut self.sysctls) {
            write_sysctl(&key, &value)?;
        }
        Ok(())
    }

    /// Gives up the one whose process has this key: it has ended.
    pub(crate) fn lose(&mut self, child: u32) {
        for shell in self.waiting.extract_if(.., |shell| shell.keys.child == child) {
            shell.dismiss();
        }
    }

    /// Ends those that are left.
    pub(crate) fn dismiss(&mut self) {
        for shell in self.waiting.drain(..) {
            shell.dismiss();
        }
    }
}

impl Shell {
    fn make(pattern: &Pattern, number: usize, keys: Keys) -> Result<Self> {
        let cgroup = Cgroup::create(&format!("hull/{number}"))?;
        let made = Waiting::fork(pattern, number, &cgroup).and_then(|process| {
            let namespaces = process.namespaces();
            Ok((process, namespaces?))
        });
        match made {
            Ok((process, namespaces)) => {
                let memory_events = cgroup.watch("memory.events");
                let limits = pattern.linux.resources.clone().unwrap_or_default();
                Ok(Self { keys, cgroup, limits, memory_events, namespaces, process, network: None })
            }
            Err(failure) => {
                cgroup.kill();
                cgroup.remove();
                Err(failure)
            }
        }
    }

    fn watch(&self, poller: &Poller) -> Result<()> {
        let token = Token::Child(self.keys.child);
        let control = poller.add(&self.process.control, token, EventFlags::IN);
        control.context(|| "watch a child".into())?;
        if let Some(events) = &self.memory_events {
            // What has not been read counts as changed.
            let _ = rustix::io::pread(events, &mut [0; 512][..], 0);
            let _ = poller.add(events, Token::Memory(self.keys.container), EventFlags::PRI);
        }
        Ok(())
    }

    /// Tells the process what it is to become: `message` is the request as the host sent it. With it
    /// goes the network namespace that it moves to, if any. It goes on with everything for which it needs no root.
    pub(crate) fn assign(&self, message: &[u8], stdio: &Stdio) -> Result<()> {
        let wanted = wanted(stdio).into_iter().enumerate();
        let wanted = wanted.fold(0, |bits, (at, wanted)| bits | u8::from(wanted) << at);
        let network: Vec<_> = self.network.iter().map(AsFd::as_fd).collect();
        control::hand(&self.process.control, &[wanted], message, &network)
            .context(|| "tell a container made ahead what it is".into())
    }

    /// Limits it as `resources` says. A failure names the cgroup by the path that was asked for.
    pub(crate) fn limit(&self, resources: &Resources, path: &str) -> Result<()> {
        self.cgroup.change(&self.limits, resources).map_err(|failure| {
            let asked = Cgroup::place(path);
            Failure::new(failure.code, failure.message.replace(self.cgroup.path(), &asked))
        })
    }

    /// Returns why its process has ended, if it has said so.
    pub(crate) fn complaint(&self) -> Option<Failure> {
        match control::receive(&self.process.control)? {
            Report::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Gives it its root, which is in the agent's namespace until then, and what the host shares
    /// with it.
    /// Returns the root as it is in the container.
    pub(crate) fn furnish(&self, root: &MountedRoot, shares: &[OwnedFd]) -> Result<OwnedFd> {
        let what = || "hand a root over".to_owned();
        let tree = root.clone_tree().context(what)?;
        let fds: Vec<BorrowedFd<'_>> = [&tree].into_iter().chain(shares).map(AsFd::as_fd).collect();
        let control = &self.process.control;
        control::hand(control, &[u8::from(root.fresh)], &[], &fds).context(what)?;
        Ok(tree)
    }

    /// Ends it; nobody knows of it any more.
    pub(crate) fn dismiss(self) {
        abandon(self.process.pid, &self.process.pidfd);
        self.cgroup.remove();
    }

    /// Splits its process off, with the streams `stdio`.
    pub(crate) fn split(self, stdio: &Stdio) -> (Furnished, Spawned) {
        let Waiting { pid, pidfd, control, stdio: mut pipes } = self.process;
        for (pipe, wanted) in pipes.iter_mut().zip(wanted(stdio)) {
            pipe.take_if(|_| !wanted);
        }
        let furnished = Furnished {
            keys: self.keys,
            cgroup: self.cgroup,
            memory_events: self.memory_events,
            namespaces: self.namespaces,
        };
        (furnished, Spawned { pid, pidfd, control, stdio: pipes, is_watched: true })
    }
}

impl Waiting {
    fn fork(pattern: &Pattern, number: usize, cgroup: &Cgroup) -> Result<Self> {
        let directory = cgroup.open()?;
        if let Some(resources) = &pattern.linux.resources {
            cgroup.apply(resources)?;
        }
        let no_resources = Resources::default();
        let resources = pattern.linux.resources.as_ref().unwrap_or(&no_resources);
        cgroup.apply_devices(resources, &directory)?;
        let pipes = Pipes::all()?;
        let (agent, control) = control::pair().context(|| "socketpair".into())?;
        match fork(pattern.namespaces & !libc::CLONE_NEWCGROUP, &directory)? {
            Fork::Child => stage::run(pattern, number, control, pipes.process),
            Fork::Parent { pid, pidfd } => {
                drop((control, pipes.process));
                let failure = match control::wait(&agent, Duration::from_secs(20)) {
                    Some(Report::Staged) => {
                        return Ok(Self { pid, pidfd, control: agent, stdio: pipes.agent });
                    }
                    Some(Report::Failed(failure)) => failure,
                    _ => Failure::failed("a container made ahead ended, or took too long"),
                };
                abandon(pid, &pidfd);
                Err(failure)
            }
        }
    }

    fn namespaces(&self) -> Result<Vec<OwnedFd>> {
        let open = |name: &str| {
            let path = format!("/proc/{}/ns/{name}", self.pid);
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::open(path.as_str(), flags, Mode::empty()).context(|| format!("open {path}"))
        };
        ["mnt", "ipc"].into_iter().map(open).collect()
    }
}

/// Which of the standard streams have a pipe.
fn wanted(stdio: &Stdio) -> [bool; 3] {
    let streams = [stdio.stdin, stdio.stdout, stdio.stderr];
    streams.map(|stream| stream.is_some() && !stdio.terminal)
}

/// Whether a request is short enough for [`Shell::assign`], and its mounts are few enough for
/// [`Shell::furnish`].
pub(crate) fn can_carry(request: &Create, message: &[u8]) -> bool {
    message.len() < control::MAX_MESSAGE && request.shares.len() <= control::MAX_SHARES
}
