//! What children of the agent report, and what follows from their end.

use std::os::fd::OwnedFd;

use hull_protocol::{Event, ExitStatus, Reply};
use rustix::io::Errno;
use rustix::process::{PidfdGetfdFlags, WaitOptions, pidfd_getfd, wait};

use crate::agent::Agent;
use crate::child::{Child, Role};
use crate::console::{self, phase};
use crate::container::{Report, State, go, receive};
use crate::failure::Failure;
use crate::streams::Sink;

impl Agent {
    pub(crate) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let Some(key) =
                self.children.iter().find_map(|(key, child)| (child.pid == pid).then_some(*key))
            else {
                continue;
            };
            // What it reported before it ended comes first.
            self.child_reports(key);
            let Some(child) = self.children.get_mut(&key) else {
                continue;
            };
            child.status = Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ExitStatus::Code(code),
                (None, signal) => ExitStatus::Signal(signal.unwrap_or(libc::SIGKILL)),
            });
            for stream in child.outputs.clone() {
                self.streams.drain(stream, &self.poller, &mut self.outbox);
            }
        }
    }

    pub(crate) fn child_reports(&mut self, key: u32) {
        loop {
            let Some(child) = self.children.get_mut(&key) else {
                // A container made ahead says nothing, unless it has ended.
                if let Some(shells) = &mut self.shells {
                    shells.lose(key);
                }
                return;
            };
            let Some(control) = &child.control else {
                return;
            };
            if let Role::Task { answer, .. } = &mut child.role {
                let mut buffer = [0; 4096];
                match rustix::io::read(control, &mut buffer) {
                    Ok(0) => self.close_control(key),
                    Ok(length) => answer.extend_from_slice(&buffer[..length]),
                    Err(Errno::INTR) => {}
                    Err(_) => return,
                }
                continue;
            }
            match receive(control) {
                None => return,
                Some(Report::Ready { terminal }) => self.child_ready(key, terminal),
                Some(Report::Failed(failure)) => self.child_failed(key, failure),
                // Heard before it became a container's.
                Some(Report::Staged) => {}
                Some(Report::Closed) => {
                    self.close_control(key);
                    self.child_executes(key);
                }
            }
        }
    }

    fn close_control(&mut self, key: u32) {
        if let Some(child) = self.children.get_mut(&key)
            && let Some(control) = child.control.take()
        {
            self.poller.remove(&control);
        }
    }

    fn child_ready(&mut self, key: u32, terminal: Option<i32>) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let pidfd = child.pidfd.try_clone();
        let pid = child.pid;
        let Some(process) = child.process_mut() else {
            return;
        };
        let streams = process.terminal_streams.take();
        let target = process.target.clone();
        if let (Some(number), Some((stdin, stdout)), Ok(pidfd)) = (terminal, streams, pidfd) {
            match pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()) {
                Ok(master) => self.connect_terminal(key, master, stdin, stdout),
                Err(errno) => console::say(&format!("terminal of process {pid}: {errno}")),
            }
        }
        if target.exec.is_some() {
            self.let_go(key);
            return;
        }
        let Some(container) = self.containers.get_mut(&target.container) else {
            return;
        };
        container.entered(pid);
        container.state = State::Created;
        let start = container.start.take();
        let request = self.children.get_mut(&key).and_then(|child| child.request.take());
        if let Some(request) = request {
            self.respond(request, Ok(Reply::Created { pid }));
        }
        phase("created");
        if let Some(request) = start {
            self.start(request, &target.container);
        }
    }

    /// Lets a child that is ready execute its program.
    pub(crate) fn let_go(&mut self, key: u32) {
        if let Some(control) = self.children.get(&key).and_then(|child| child.control.as_ref()) {
            go(control);
        }
    }

    fn connect_terminal(
        &mut self,
        key: u32,
        master: OwnedFd,
        stdin: Option<u32>,
        stdout: Option<u32>,
    ) {
        let _ = rustix::io::ioctl_fionbio(&master, true);
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let owner = child
            .process()
            .and_then(|process| self.containers.get(&process.target.container))
            .map(|container| container.key);
        if let (Some(stream), Ok(fd)) = (stdout, master.try_clone()) {
            self.streams.add_output(stream, fd, owner);
            child.outputs.push(stream);
        }
        if let (Some(stream), Ok(fd)) = (stdin, master.try_clone()) {
            self.streams.add_input(stream, fd, Sink::Terminal, &self.poller);
            child.input = Some(stream);
        }
        if let Some(process) = child.process_mut() {
            process.terminal = Some(master);
        }
        if let Some(stream) = stdout {
            self.streams.pump(stream, &self.poller, &mut self.outbox);
        }
    }

    fn child_failed(&mut self, key: u32, failure: Failure) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let request = child.request.take();
        let mut start = None;
        if let Some(process) = child.process_mut() {
            process.failed = true;
            let container = self.containers.get_mut(&process.target.container);
            if process.target.exec.is_none()
                && let Some(container) = container
            {
                container.stopped();
                start = container.start.take();
            }
        }
        for request in request.into_iter().chain(start) {
            self.respond(request, Err(failure.clone()));
        }
    }

    fn child_executes(&mut self, key: u32) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let pid = child.pid;
        let Some(process) = child.process_mut() else {
            return;
        };
        if process.failed {
            return;
        }
        let target = process.target.clone();
        let request = child.request.take();
        if let Some(container) = self.containers.get_mut(&target.container)
            && target.exec.is_none()
            && container.state == State::Creating
        {
            // Killed while it was being set up.
            if let Some(process) = self.children.get_mut(&key).and_then(Child::process_mut) {
                process.failed = true;
            }
            container.stopped();
            let start = container.start.take();
            for request in request.into_iter().chain(start) {
                let failure = Failure::failed("the container's init process was killed");
                self.respond(request, Err(failure));
            }
            return;
        }
        if let Some(request) = request {
            phase("executed");
            self.respond(request, Ok(Reply::Started { pid }));
            match self.is_prepared() {
                // Not while somebody waits for the container's first words.
                true => self.kernel_log.send_soon(),
                false => self.send_kernel_log(),
            }
        }
    }

    /// Whether the host has all output of a child that has ended, or does not wait for it.
    pub(crate) fn is_told(&self, child: &Child) -> bool {
        let container = child.container().and_then(|name| self.containers.get(name));
        self.shutdown.is_some()
            || container.is_some_and(|container| container.delete.is_some())
            || child.outputs.iter().all(|stream| match child.role {
                Role::Process(_) => self.streams.is_drained(*stream),
                Role::Task { .. } => !self.streams.contains(*stream),
            })
    }

    pub(crate) fn child_over(&mut self, key: u32) {
        self.child_reports(key);
        self.close_control(key);
        let Some(mut child) = self.children.remove(&key) else {
            return;
        };
        if let Some(stream) = child.input.take() {
            self.streams.remove(stream, &self.poller);
        }
        let Some(status) = child.status else {
            return;
        };
        match child.role {
            Role::Task { answer, .. } => {
                let result = crate::tasks::result(&answer, status);
                let result = self.dialed(child.request, result);
                if let Some(request) = child.request {
                    self.respond(request, result);
                }
            }
            Role::Process(process) => {
                let is_init = process.target.exec.is_none();
                let mut oom_killed = false;
                if let Some(container) = self.containers.get_mut(&process.target.container) {
                    let kills = container.read_oom_kills();
                    let told = std::mem::replace(&mut container.oom_kills, kills);
                    oom_killed = kills > 0;
                    if is_init {
                        container.stopped();
                        if !container.ends_with_init() {
                            container.cgroup.kill();
                        }
                        if let Some(events) = container.memory_events.take() {
                            self.poller.remove(&events);
                        }
                    }
                    if kills > told {
                        let container = process.target.container.clone();
                        self.event(&Event::OutOfMemory { container });
                    }
                }
                if !process.failed {
                    self.event(&Event::Exited { target: process.target, status, oom_killed });
                }
            }
        }
    }
}
