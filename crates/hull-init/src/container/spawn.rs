//! The agent's side of making processes: what must be ready before the fork.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_protocol::{Create, Exec, Stdio};
use hull_spec::{Process, Resources, Spec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::WaitOptions;

use crate::console::phase;
use crate::container::cgroup::Cgroup;
use crate::container::init::{self, Job, Place, Root};
use crate::container::process::Plan;
use crate::container::rootfs::MountedRoot;
use crate::container::seccomp::Program;
use crate::container::shell::{self, Keys, Shell, Shells};
use crate::container::{Container, State, control, exec, namespace_flags};
use crate::disks::Disks;
use crate::failure::{Context, Failure, Result};
use crate::sys::{self, Fork};

/// A child that was forked, and the agent's ends of what connects it.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) control: OwnedFd,
    /// The agent's ends of the pipes for standard input, output and error.
    pub(crate) stdio: [Option<OwnedFd>; 3],
    /// The poller watches `control` already.
    pub(crate) is_watched: bool,
}

/// Makes the container of a request and forks its init process, with `keys` unless it has been made
/// ahead with others. `message` is the request as the host sent it.
pub(crate) fn create(
    disks: &mut Disks,
    shells: Option<&mut Shells>,
    (request, message): (&Create, &[u8]),
    shares: Vec<OwnedFd>,
    keys: Keys,
) -> Result<(Container, Spawned)> {
    let name = &request.container;
    if name.is_empty() || name.len() > 200 || name.contains(['/', '\0']) || name.starts_with('.') {
        return Err(Failure::invalid(format!("malformed container name {name:?}")));
    }
    let mut spec: Spec = serde_json::from_str(request.spec.get())
        .map_err(|error| Failure::invalid(format!("runtime specification: {error}")))?;
    phase("specification read");
    let seccomp = Program::of(&spec, request.seccomp.as_deref())?;
    let shell = match shells {
        Some(shells) if shell::can_carry(request, message) => shells.take(&spec, request)?,
        _ => None,
    };
    let Some(process) = spec.process.take() else {
        return Err(Failure::invalid("runtime specification: process is missing"));
    };
    let draft = Draft { disks, request, spec: &spec, shares, keys };
    match shell {
        Some(shell) => draft.fill(shell, message),
        None => draft.build(process, seccomp),
    }
}

/// A container on its way.
struct Draft<'a> {
    disks: &'a mut Disks,
    request: &'a Create,
    spec: &'a Spec,
    /// Mounts for [`Create::shares`].
    shares: Vec<OwnedFd>,
    keys: Keys,
}

impl Draft<'_> {
    /// Makes everything of it.
    fn build(mut self, process: Process, seccomp: Option<Program>) -> Result<(Container, Spawned)> {
        let cgroup = Cgroup::create(self.cgroup_path())?;
        phase("cgroup made");
        let root =
            match MountedRoot::mount(self.disks, &self.request.container, &self.request.rootfs) {
                Ok(root) => root,
                Err(failure) => {
                    cgroup.remove();
                    return Err(failure);
                }
            };
        phase("root mounted");
        let mut container = self.container(cgroup, root);
        let shares = std::mem::take(&mut self.shares);
        match self.fork(&container, process, seccomp, shares) {
            Ok(spawned) => {
                container.memory_events = container.cgroup.watch("memory.events");
                Ok((container, spawned))
            }
            Err(failure) => {
                container.cgroup.remove();
                // The first failure is the one to tell.
                let _ = container.unmount(self.disks);
                Err(failure)
            }
        }
    }

    fn cgroup_path(&self) -> &str {
        // `parent:prefix:name` is systemd's form; there is no systemd here.
        match self.spec.linux.as_ref().map(|linux| linux.cgroups_path.as_str()) {
            None | Some("") => &self.request.container,
            Some(path) if path.contains(':') => &self.request.container,
            Some(path) => path,
        }
    }

    fn fork(
        &self,
        container: &Container,
        process: Process,
        seccomp: Option<Program>,
        shares: Vec<OwnedFd>,
    ) -> Result<Spawned> {
        let no_resources = Resources::default();
        let resources = resources(self.spec).unwrap_or(&no_resources);
        container.cgroup.apply(resources)?;
        let directory = container.cgroup.open()?;
        phase("limits set");
        let pipes = Pipes::open(&self.request.stdio)?;
        let (agent, control) = control::pair().context(|| "socketpair".into())?;
        let flags = container.namespaces & !libc::CLONE_NEWCGROUP;
        match fork(flags, &directory)? {
            Fork::Child => {
                let plan = Plan {
                    process,
                    user: self.request.user.clone(),
                    groups: self.request.groups.clone(),
                    seccomp,
                    stdio: pipes.process,
                    terminal: self.request.stdio.terminal,
                    control,
                };
                let root =
                    Root { path: container.root.path(), fresh: container.root.fresh, shares };
                let place = Place::Bare(root);
                init::run(Job { spec: self.spec, create: self.request, place, plan })
            }
            Fork::Parent { pid, pidfd } => {
                // Meanwhile: the child executes nothing before it is told to.
                if let Err(failure) = container.cgroup.apply_devices(resources, &directory) {
                    abandon(pid, &pidfd);
                    return Err(failure);
                }
                phase("devices limited");
                Ok(Spawned { pid, pidfd, control: agent, stdio: pipes.agent, is_watched: false })
            }
        }
    }

    /// Gives what was made ahead to it, and makes the rest.
    fn fill(mut self, shell: Shell, message: &[u8]) -> Result<(Container, Spawned)> {
        match self.furnish(&shell, message) {
            Ok((root, live)) => {
                let (furnished, spawned) = shell.split(&self.request.stdio);
                self.keys = furnished.keys;
                let mut container = self.container(furnished.cgroup, root);
                container.given_root = Some(live);
                container.pinned = furnished.namespaces;
                container.memory_events = furnished.memory_events;
                Ok((container, spawned))
            }
            Err(failure) => {
                let failure = shell.complaint().unwrap_or(failure);
                shell.dismiss();
                Err(failure)
            }
        }
    }

    fn furnish(&mut self, shell: &Shell, message: &[u8]) -> Result<(MountedRoot, OwnedFd)> {
        shell.assign(message, &self.request.stdio)?;
        phase("shell assigned");
        let root = MountedRoot::mount(self.disks, &self.request.container, &self.request.rootfs)?;
        phase("root mounted");
        let no_resources = Resources::default();
        let limits = resources(self.spec).unwrap_or(&no_resources);
        let limited = shell.limit(limits, self.cgroup_path());
        phase("limits set");
        match limited.and_then(|()| shell.furnish(&root, &self.shares)) {
            Ok(live) => Ok((root, live)),
            Err(failure) => {
                // The first failure is the one to tell.
                let _ = root.unmount(self.disks);
                Err(failure)
            }
        }
    }

    fn container(&self, cgroup: Cgroup, root: MountedRoot) -> Container {
        let seccomp = self.spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
        Container {
            key: self.keys.container,
            cgroup,
            root,
            init: self.keys.child,
            namespaces: namespace_flags(self.spec),
            groups: self.request.groups.clone(),
            seccomp_flags: seccomp.map(|seccomp| seccomp.flags.clone()).unwrap_or_default(),
            state: State::Creating,
            live_root: None,
            given_root: None,
            pinned: Vec::new(),
            memory_events: None,
            cgroup_events: None,
            oom_kills: 0,
            freezing: Vec::new(),
            start: None,
            delete: None,
        }
    }
}

fn resources(spec: &Spec) -> Option<&Resources> {
    spec.linux.as_ref()?.resources.as_ref()
}

/// Forks one more process of `container`, whose init process is `init`.
pub(crate) fn exec(container: &Container, init: &OwnedFd, request: &Exec) -> Result<Spawned> {
    let process: Process = serde_json::from_str(request.process.get())
        .map_err(|error| Failure::invalid(format!("process: {error}")))?;
    let seccomp = request.seccomp.as_deref();
    let seccomp =
        seccomp.map(|program| Program::decode(program, &container.seccomp_flags)).transpose()?;
    let root =
        container.live_root().ok_or_else(|| Failure::invalid("the container is not running"))?;
    let directory = container.cgroup.open()?;
    let pipes = Pipes::open(&request.stdio)?;
    let (agent, control) = control::pair().context(|| "socketpair".into())?;
    let own = match container.namespaces & libc::CLONE_NEWPID {
        0 => None,
        _ => Some(OwnNamespace::leave(init)?),
    };
    let forked = fork(0, &directory);
    if let (Some(own), Ok(Fork::Parent { .. }) | Err(_)) = (&own, &forked) {
        own.come_back();
    }
    match forked? {
        Fork::Child => {
            let plan = Plan {
                process,
                user: request.user.clone(),
                groups: container.groups.clone(),
                seccomp,
                stdio: pipes.process,
                terminal: request.stdio.terminal,
                control,
            };
            exec::run(plan, root, init.as_fd(), container.namespaces & !libc::CLONE_NEWPID)
        }
        Fork::Parent { pid, pidfd } => {
            Ok(Spawned { pid, pidfd, control: agent, stdio: pipes.agent, is_watched: false })
        }
    }
}

/// Forks a helper of the agent's own, which runs `work` with its end of a pipe and ends. It has no
/// descriptors but that and `keep`: a pipe that it held open for no reason would not end.
pub(crate) fn helper(
    keep: &[BorrowedFd<'_>],
    work: impl FnOnce(&OwnedFd),
) -> Result<(i32, OwnedFd, OwnedFd)> {
    let (read, write) = pipe()?;
    match sys::clone3(0, None).context(|| "clone".into())? {
        Fork::Child => {
            let keep = [keep, &[write.as_fd()]].concat();
            if sys::close_except(&keep).is_ok() {
                work(&write);
            }
            sys::exit_now(0)
        }
        Fork::Parent { pid, pidfd } => {
            rustix::io::ioctl_fionbio(&read, true).context(|| "pipe".into())?;
            Ok((pid, pidfd, read))
        }
    }
}

/// Kills a child that nobody knows of, and waits for its end.
pub(crate) fn abandon(pid: i32, pidfd: &OwnedFd) {
    // It may have failed by itself.
    let _ = sys::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
    let _ = rustix::process::waitpid(rustix::process::Pid::from_raw(pid), WaitOptions::empty());
}

/// Returns the reading and the writing end of a pipe, both blocking.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context(|| "pipe".into())
}

pub(crate) fn fork(flags: i32, cgroup: &OwnedFd) -> Result<Fork> {
    sys::clone3(flags as u32 as u64, Some(cgroup.as_fd())).context(|| "clone".into())
}

/// The agent's pid namespace, while children are to start in a container's.
struct OwnNamespace(OwnedFd);

impl OwnNamespace {
    fn leave(init: &OwnedFd) -> Result<Self> {
        let open = OFlags::RDONLY | OFlags::CLOEXEC;
        let own = rustix::fs::open("/proc/self/ns/pid", open, Mode::empty())
            .context(|| "open /proc/self/ns/pid".into())?;
        match sys::setns(init.as_fd(), libc::CLONE_NEWPID) {
            Ok(()) => Ok(Self(own)),
            Err(Errno::SRCH) => Err(Failure::invalid("the container is not running")),
            Err(errno) => Err(errno).context(|| "join the container's pid namespace".into()),
        }
    }

    fn come_back(&self) {
        if let Err(errno) = sys::setns(self.0.as_fd(), libc::CLONE_NEWPID) {
            // Every later child would land in the wrong namespace.
            panic!("cannot return to the agent's pid namespace: {errno}");
        }
    }
}

/// Pipes for the standard streams.
#[derive(Default)]
pub(crate) struct Pipes {
    /// The agent's ends, which do not block.
    pub(crate) agent: [Option<OwnedFd>; 3],
    /// The process's, which do.
    pub(crate) process: [Option<OwnedFd>; 3],
}

impl Pipes {
    fn open(stdio: &Stdio) -> Result<Self> {
        let streams = [stdio.stdin, stdio.stdout, stdio.stderr];
        match stdio.terminal {
            true => Ok(Self::default()),
            false => Self::make(streams.map(|stream| stream.is_some())),
        }
    }

    /// Makes all three.
    pub(crate) fn all() -> Result<Self> {
        Self::make([true; 3])
    }

    fn make(wanted: [bool; 3]) -> Result<Self> {
        let mut pipes = Self::default();
        for (index, _) in wanted.iter().enumerate().filter(|(_, wanted)| **wanted) {
            let (read, write) = pipe()?;
            let (agent, process) = match index {
                0 => (write, read),
                _ => (read, write),
            };
            rustix::io::ioctl_fionbio(&agent, true).context(|| "pipe".into())?;
            pipes.agent[index] = Some(agent);
            pipes.process[index] = Some(process);
        }
        Ok(pipes)
    }
}
