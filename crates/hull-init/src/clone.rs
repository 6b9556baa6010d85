//! A running container in a clone of its machine becomes another one.

use std::os::fd::{AsFd, OwnedFd};

use hull_protocol::{Adopt, Reply};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, Mode, OFlags, Stat};

use crate::agent::Agent;
use crate::child::Child;
use crate::container::State;
use crate::container::paths;
use crate::failure::{Context, Failure, Result};
use crate::{connections, identity, sys};

impl Agent {
    /// Says nothing, and looks at nothing but the channel, until it is told to.
    pub(crate) fn stay_quiet(&mut self) {
        while self.quiet {
            self.flush();
            let mut interest = PollFlags::IN;
            interest.set(PollFlags::OUT, self.is_blocked());
            let mut channel = [PollFd::from_borrowed_fd(self.channel_fd(), interest)];
            let _ = rustix::event::poll(&mut channel, None);
            self.read_channel();
        }
    }

    /// Makes the container that is described another one, and lets it go on.
    pub(crate) fn become_another(&mut self, adopt: &Adopt) -> Result<Reply> {
        let container = self.container(&adopt.container)?;
        if container.state != State::Running {
            return Err(Failure::invalid("the container is not running"));
        }
        let (init, namespaces) = (container.init, container.namespaces());
        let view = container.view()?;
        let child = self.children.get(&init).filter(|child| child.status.is_none());
        let child = child.ok_or_else(|| Failure::invalid("the container is not running"))?;
        let pid = child.pid;

        identity::configure(&adopt.identity)?;
        within(child, namespaces & libc::CLONE_NEWUTS, libc::CLONE_NEWUTS, || {
            rustix::system::sethostname(adopt.hostname.as_bytes())
                .context(|| "set the container's host name".into())
        })?;
        within(child, namespaces & libc::CLONE_NEWNET, libc::CLONE_NEWNET, || {
            connections::reset().context(|| "reset connections".into())
        })?;
        for (path, content) in &adopt.files {
            rewrite(&view, path, content)?;
        }
        self.take_over(adopt);
        self.quiet = false;
        self.container(&adopt.name)?.cgroup.freeze(false)?;
        Ok(Reply::Started { pid })
    }

    /// Gives container and streams their new names.
    fn take_over(&mut self, adopt: &Adopt) {
        let names = [
            (adopt.from.stdin, adopt.stdio.stdin),
            (adopt.from.stdout, adopt.stdio.stdout),
            (adopt.from.stderr, adopt.stdio.stderr),
        ];
        let names = names.into_iter().filter_map(|(old, new)| Some((old?, new?))).collect();
        self.streams.rename(&names, &self.poller);
        self.forget_connections();
        let renamed = |stream: &u32| names.get(stream).copied();
        for child in self.children.values_mut() {
            // Nobody is told of what helpers do, nor waits for execs.
            child.request = None;
            child.cancel();
            child.outputs = child.outputs.iter().filter_map(renamed).collect();
            child.input = child.input.as_ref().and_then(renamed);
            child.rename_container(&adopt.container, &adopt.name);
        }
        if let Some(container) = self.containers.remove(&adopt.container) {
            self.containers.insert(adopt.name.clone(), container);
        }
    }
}

/// Calls `work` in the namespace of `child`, if it has one of its own.
pub(crate) fn within<T>(
    child: &Child,
    own: i32,
    kind: i32,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    if own == 0 {
        return work();
    }
    let name = if kind == libc::CLONE_NEWUTS { "uts" } else { "net" };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let here = rustix::fs::open(format!("/proc/self/ns/{name}"), flags, Mode::empty())
        .context(|| format!("open the agent's {name} namespace"))?;
    sys::setns(child.pidfd.as_fd(), kind)
        .context(|| format!("enter the container's {name} namespace"))?;
    let worked = work();
    sys::setns(here.as_fd(), kind).context(|| format!("leave the container's {name} namespace"))?;
    worked
}

/// Puts `content` into a file that Hull manages, unless the container has removed it.
fn rewrite(root: &OwnedFd, path: &str, content: &str) -> Result<()> {
    let is_regular = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
    let Ok(Some(file)) = paths::open_if(root, path, flags, is_regular) else {
        return Ok(());
    };
    let mut rest = content.as_bytes();
    while !rest.is_empty() {
        let written =
            rustix::io::write(&file, rest).context(|| format!("write {path} of the container"))?;
        rest = &rest[written..];
    }
    Ok(())
}
