//! Children of the agent, and what the host waits for of each.

use std::os::fd::{AsFd, OwnedFd};

use hull_protocol::{ExitStatus, Target};

use crate::sys;

/// One child process.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) role: Role,
    /// Request to answer: when it is ready, executes, fails, or is done.
    pub(crate) request: Option<u32>,
    /// The agent's end of its control socket, or of the pipe for its answer.
    pub(crate) control: Option<OwnedFd>,
    /// How it ended, once it has.
    pub(crate) status: Option<ExitStatus>,
    /// Streams that carry its output.
    pub(crate) outputs: Vec<u32>,
    /// Stream that carries its input.
    pub(crate) input: Option<u32>,
}

/// What a child is for.
#[derive(Debug)]
pub(crate) enum Role {
    /// A container's process.
    Process(Process),
    /// A helper of the agent's, the container that it works in, and what it has answered so far.
    Task { container: Option<String>, answer: Vec<u8> },
}

/// A process of a container, or a child that is becoming one.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) target: Target,
    /// Streams that its terminal is to be connected to.
    pub(crate) terminal_streams: Option<(Option<u32>, Option<u32>)>,
    pub(crate) terminal: Option<OwnedFd>,
    /// It never became the process: the host learns of the failure, not of an exit.
    pub(crate) failed: bool,
}

impl Child {
    pub(crate) fn process(&self) -> Option<&Process> {
        match &self.role {
            Role::Process(process) => Some(process),
            Role::Task { .. } => None,
        }
    }

    /// Returns the container that must not go before the child has.
    pub(crate) fn container(&self) -> Option<&str> {
        match &self.role {
            Role::Process(process) => Some(&process.target.container),
            Role::Task { container, .. } => container.as_deref(),
        }
    }

    /// Notes that the container `old` is called `new`.
    pub(crate) fn rename_container(&mut self, old: &str, new: &str) {
        let name = match &mut self.role {
            Role::Process(process) => Some(&mut process.target.container),
            Role::Task { container, .. } => container.as_mut(),
        };
        if let Some(name) = name.filter(|name| *name == old) {
            new.clone_into(name);
        }
    }

    /// Kills it if it is a helper.
    pub(crate) fn cancel(&self) {
        if let Role::Task { .. } = self.role {
            // It may have ended.
            let _ = sys::pidfd_signal(self.pidfd.as_fd(), libc::SIGKILL);
        }
    }

    pub(crate) fn process_mut(&mut self) -> Option<&mut Process> {
        match &mut self.role {
            Role::Process(process) => Some(process),
            Role::Task { .. } => None,
        }
    }
}
