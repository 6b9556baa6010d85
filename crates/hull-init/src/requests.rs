//! What the host can ask for, one method each.

use std::os::fd::{AsFd, OwnedFd};

use hull_protocol::{Create, ErrorCode, Exec, Reply, Request, Stdio, Target};
use hull_spec::Resources;
use rustix::event::epoll::EventFlags;

use crate::agent::Agent;
use crate::child::{Child, Process, Role};
use crate::console::phase;
use crate::container::Container;
use crate::container::spawn::{self, Spawned};
use crate::container::{State, tty};
use crate::failure::{Context, Failure, Result};
use crate::poller::Token;
use crate::share::Shares;
use crate::sockets::Listener;
use crate::streams::Sink;
use crate::tasks::Extraction;
use crate::{identity, stats, sys, tasks};

impl Agent {
    /// Does what a request says, now or as soon as it can be done.
    pub(crate) fn request(&mut self, number: u32, payload: &[u8]) {
        let result = match serde_json::from_slice(payload) {
            Ok(request) => self.perform(number, request, payload),
            Err(error) => Err(Failure::invalid(format!("malformed request: {error}"))),
        };
        match result {
            Ok(Some(reply)) => self.respond(number, Ok(reply)),
            // Answered already, or later.
            Ok(None) => {}
            Err(failure) => self.respond(number, Err(failure)),
        }
    }

    fn perform(&mut self, number: u32, request: Request, payload: &[u8]) -> Result<Option<Reply>> {
        use Request::{Configure, Prepare, Shutdown};

        if !self.configured && !matches!(request, Configure(_) | Prepare(_) | Shutdown) {
            return Err(Failure::invalid("the guest has not been configured"));
        }
        if self.shutdown.is_some() {
            return Err(Failure::invalid("the guest is shutting down"));
        }
        match request {
            Request::Configure(identity) => {
                if let Some(shells) = &mut self.shells {
                    shells.yield_to(&identity.sysctls)?;
                }
                if identity.isolated {
                    self.isolate()?;
                }
                identity::configure(&identity)?;
                self.configured = true;
                phase("configured");
                done()
            }
            Request::Create(create) => self.create(number, &create, payload),
            Request::Start { container } => {
                self.start(number, &container);
                Ok(None)
            }
            Request::Exec(exec) => self.exec(number, &exec),
            Request::Signal { target, signal, all } => self.signal(&target, signal, all),
            Request::Resize { target, rows, columns } => self.resize(&target, rows, columns),
            Request::Pause { container } => self.pause(number, &container),
            Request::Resume { container } => {
                self.container(&container)?.cgroup.freeze(false)?;
                done()
            }
            Request::Statistics { container } => {
                let statistics = stats::collect(&self.container(&container)?.cgroup);
                Ok(Some(Reply::Statistics(Box::new(statistics))))
            }
            Request::Processes { container } => {
                let pids = self.container(&container)?.cgroup.processes();
                self.task(number, None, &[], || tasks::processes(&pids))
            }
            Request::Update { container, resources } => {
                let resources: Resources = serde_json::from_str(resources.get())
                    .map_err(|error| Failure::invalid(format!("resources: {error}")))?;
                self.container(&container)?.cgroup.apply(&resources)?;
                done()
            }
            Request::Stat { container, path } => {
                let root = self.container(&container)?.view()?;
                self.task(number, Some(container), &[root.as_fd()], || tasks::stat(&root, &path))
            }
            Request::CopyOut { container, part, stream } => {
                self.copy_out(number, &container, &part, stream)
            }
            Request::CopyIn { container, path, stream, no_overwrite_dir_non_dir, owner } => {
                let how = Extraction { no_overwrite_dir_non_dir, owner };
                self.copy_in(number, &container, &path, stream, how)
            }
            Request::Delete { container } => {
                let found = self.container_mut(&container)?;
                if found.delete.is_some() {
                    return Err(Failure::invalid("the container is being deleted"));
                }
                found.cgroup.kill();
                found.delete = Some(number);
                let children = self.children.values();
                children
                    .filter(|child| child.container() == Some(&container))
                    .for_each(Child::cancel);
                Ok(None)
            }
            Request::Sync => self.task(number, None, &[], || {
                rustix::fs::sync();
                Ok(Reply::Done)
            }),
            Request::Prepare(prepare) => self.prepare(&prepare),
            Request::Try(trial) => self.try_image(number, &trial),
            Request::Interface(interface) => self.configure_interface(number, &interface),
            Request::Stow { mac } => {
                self.interfaces.stow(&mac, self.containers.is_empty())?;
                done()
            }
            Request::Settle(settle) => self.settle_networks(&settle).map(Some),
            Request::Dial { container, path, streams } => {
                self.dial(number, &container, &path, streams)
            }
            Request::Join { connection, streams } => self.join(connection, streams).map(Some),
            Request::Refuse { connection } => self.refuse(connection).map(Some),
            Request::StandIn(file) => self.stand_in(&file).map(Some),
            Request::StandDown(file) => self.stand_down(&file).map(Some),
            Request::Probe(file) => self.probe(&file).map(Some),
            Request::Call { file, streams } => self.call(number, &file, streams),
            Request::Clock { clock_ns } => {
                identity::set_clock(clock_ns)?;
                done()
            }
            Request::Quiet => {
                self.quiet = true;
                done()
            }
            Request::Speak => {
                self.quiet = false;
                done()
            }
            Request::Adopt(adopt) => self.become_another(&adopt).map(Some),
            Request::Shutdown => {
                self.begin_shutdown(number);
                Ok(None)
            }
        }
    }

    fn create(&mut self, number: u32, request: &Create, payload: &[u8]) -> Result<Option<Reply>> {
        if self.containers.contains_key(&request.container) {
            return Err(Failure::invalid(format!("container {} exists", request.container)));
        }
        phase("request read");
        self.check_streams(&request.stdio)?;
        let keys = self.keys();
        let (shares, listeners) = self.mount_shares(request)?;
        let shells = self.shells.as_mut();
        let (container, spawned) =
            spawn::create(&mut self.disks, shells, (request, payload), shares, keys)?;
        let child = container.init;
        if let Some(events) = container.memory_events.as_ref().filter(|_| !spawned.is_watched) {
            let _ = self.poller.add(events, Token::Memory(container.key), EventFlags::PRI);
        }
        let name = request.container.clone();
        self.listen(container.key, listeners);
        self.containers.insert(name.clone(), container);
        let target = Target { container: name, exec: None };
        self.adopt(child, number, target, spawned, &request.stdio);
        Ok(None)
    }

    /// Returns mounts of what the host shares with a container, and the sockets among it.
    fn mount_shares(&mut self, request: &Create) -> Result<(Vec<OwnedFd>, Vec<Listener>)> {
        let mut mounts = Vec::new();
        let mut listeners = Vec::new();
        // The host's server does not count sockets.
        let mut served = 0;
        for (number, shared) in (0..).zip(&request.shares) {
            if let Some(access) = shared.socket {
                let listener = Listener::new(number, access)?;
                mounts.push(listener.mount()?);
                listeners.push(listener);
                continue;
            }
            let shares = match self.shares.take() {
                Some(shares) => shares,
                None => Shares::start()?,
            };
            mounts.push(self.shares.insert(shares).mount(served, shared)?);
            served += 1;
        }
        if !mounts.is_empty() {
            phase("shares mounted");
        }
        Ok((mounts, listeners))
    }

    fn exec(&mut self, number: u32, request: &Exec) -> Result<Option<Reply>> {
        self.check_streams(&request.stdio)?;
        let target =
            Target { container: request.container.clone(), exec: Some(request.exec.clone()) };
        if self.find(&target).is_some() {
            return Err(Failure::invalid(format!("process {} exists", request.exec)));
        }
        let container = self.container(&request.container)?;
        if container.state != State::Running {
            return Err(Failure::invalid("the container is not running"));
        }
        let init = self
            .children
            .get(&container.init)
            .ok_or_else(|| Failure::invalid("the container is not running"))?;
        let spawned = spawn::exec(container, &init.pidfd, request)?;
        let child = self.key();
        self.adopt(child, number, target, spawned, &request.stdio);
        Ok(None)
    }

    /// Lets the init process of a container execute, as soon as it is ready.
    pub(crate) fn start(&mut self, number: u32, name: &str) {
        let container = match self.container_mut(name) {
            Ok(container) => container,
            Err(failure) => return self.respond(number, Err(failure)),
        };
        match container.state {
            State::Creating if container.start.is_none() => container.start = Some(number),
            State::Created => {
                container.state = State::Running;
                let init = container.init;
                if let Some(child) = self.children.get_mut(&init) {
                    child.request = Some(number);
                }
                self.let_go(init);
            }
            State::Creating | State::Running => {
                let failure = Failure::invalid("the container has been started");
                self.respond(number, Err(failure));
            }
            State::Stopped => {
                self.respond(number, Err(Failure::invalid("the container is stopped")));
            }
        }
    }

    /// Keeps a forked process and connects its streams.
    fn adopt(&mut self, key: u32, number: u32, target: Target, spawned: Spawned, stdio: &Stdio) {
        let token = Token::Child(key);
        if !spawned.is_watched
            && let Err(errno) = self.poller.add(&spawned.control, token, EventFlags::IN)
        {
            panic!("watch a child: {errno}");
        }
        let [stdin, stdout, stderr] = spawned.stdio;
        let owner = self.containers.get(&target.container).map(|c| c.key);
        let mut outputs = Vec::new();
        for (stream, fd) in [(stdio.stdout, stdout), (stdio.stderr, stderr)] {
            if let (Some(stream), Some(fd)) = (stream, fd) {
                self.streams.add_output(stream, fd, owner);
                outputs.push(stream);
            }
        }
        if let (Some(stream), Some(fd)) = (stdio.stdin, stdin) {
            self.streams.add_input(stream, fd, Sink::Pipe, &self.poller);
        }
        let child = Child {
            pid: spawned.pid,
            pidfd: spawned.pidfd,
            role: Role::Process(Process {
                target,
                terminal_streams: stdio.terminal.then_some((stdio.stdin, stdio.stdout)),
                terminal: None,
                failed: false,
            }),
            request: Some(number),
            control: Some(spawned.control),
            status: None,
            outputs,
            input: stdio.stdin.filter(|_| !stdio.terminal),
        };
        self.children.insert(key, child);
    }

    fn signal(&mut self, target: &Target, signal: i32, all: bool) -> Result<Option<Reply>> {
        let container = self.container(&target.container)?;
        if all {
            match signal {
                libc::SIGKILL => container.cgroup.kill(),
                signal => container.cgroup.signal(signal),
            }
            return done();
        }
        let child = self
            .find(target)
            .filter(|child| child.status.is_none())
            .ok_or_else(|| Failure::not_found("no such process"))?;
        sys::pidfd_signal(child.pidfd.as_fd(), signal).context(|| format!("signal {signal}"))?;
        done()
    }

    fn resize(&mut self, target: &Target, rows: u16, columns: u16) -> Result<Option<Reply>> {
        let process = self
            .find(target)
            .and_then(Child::process)
            .ok_or_else(|| Failure::not_found("no such process"))?;
        let terminal = process
            .terminal
            .as_ref()
            .ok_or_else(|| Failure::invalid("the process has no terminal"))?;
        tty::resize(terminal, rows, columns).context(|| "resize the terminal".into())?;
        done()
    }

    fn check_streams(&self, stdio: &Stdio) -> Result<()> {
        let streams = [stdio.stdin, stdio.stdout, stdio.stderr];
        let mut used: Vec<u32> = streams.into_iter().flatten().collect();
        used.sort_unstable();
        let repeated = used.windows(2).any(|pair| pair[0] == pair[1]);
        if repeated || used.iter().any(|stream| !self.is_free(*stream)) {
            return Err(Failure::invalid("stream is 0 or in use"));
        }
        Ok(())
    }

    /// Whether a new stream may have this number.
    pub(crate) fn is_free(&self, stream: u32) -> bool {
        stream != 0 && !self.streams.contains(stream)
    }

    pub(crate) fn container(&self, name: &str) -> Result<&Container> {
        self.containers
            .get(name)
            .ok_or_else(|| Failure::not_found(format!("no such container: {name}")))
    }

    fn container_mut(&mut self, name: &str) -> Result<&mut Container> {
        self.containers
            .get_mut(name)
            .ok_or_else(|| Failure::not_found(format!("no such container: {name}")))
    }

    fn find(&self, target: &Target) -> Option<&Child> {
        self.children
            .values()
            .find(|child| child.process().is_some_and(|process| process.target == *target))
    }

    fn pause(&mut self, number: u32, name: &str) -> Result<Option<Reply>> {
        let container = self.container_mut(name)?;
        if container.state != State::Running {
            return Err(Failure::invalid("the container is not running"));
        }
        container.cgroup.freeze(true)?;
        container.freezing.push(number);
        let key = container.key;
        if container.cgroup_events.is_none() {
            container.cgroup_events = container.cgroup.watch("cgroup.events");
        }
        if let Some(events) = &self.container(name)?.cgroup_events {
            // Added already if another request waits.
            let _ = self.poller.add(events, Token::Cgroup(key), EventFlags::PRI);
        }
        Ok(None)
    }

    /// Answers requests to pause that have come true.
    pub(crate) fn settle_frozen(&mut self) {
        let mut answers = Vec::new();
        for container in self.containers.values_mut() {
            if container.freezing.is_empty() {
                continue;
            }
            let result = match container.state {
                State::Stopped => Err(Failure::invalid("the container is not running")),
                _ if container.cgroup.is_frozen() => Ok(Reply::Done),
                _ => continue,
            };
            if let Some(events) = container.cgroup_events.take() {
                self.poller.remove(&events);
            }
            let waiting = std::mem::take(&mut container.freezing);
            answers.extend(waiting.into_iter().map(|number| (number, result.clone())));
        }
        for (number, result) in answers {
            self.respond(number, result);
        }
    }

    /// Finishes the deletion of containers whose processes are gone.
    pub(crate) fn settle_deleted(&mut self) {
        let gone: Vec<String> = self
            .containers
            .iter()
            .filter(|(name, container)| {
                container.delete.is_some() && !self.has_processes(name) && container.cgroup.remove()
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            let Some(mut container) = self.containers.remove(&name) else {
                continue;
            };
            if let Some(events) = &container.memory_events {
                self.poller.remove(events);
            }
            self.streams.remove_owned(container.key, &self.poller);
            self.sockets.remove_owned(container.key);
            if let Some(shares) = self.shares.as_mut().filter(|_| self.containers.is_empty()) {
                shares.let_go();
            }
            let result = container.unmount(&mut self.disks);
            if self.is_prepared() && self.containers.is_empty() {
                // A rehearsal: what it made the kernel say is no other container's.
                self.kernel_log.skip();
            }
            if let Some(number) = container.delete {
                self.respond(number, result.map(|()| Reply::Done));
            }
        }
    }

    /// Whether children of the agent belong to a container or work in it.
    pub(crate) fn has_processes(&self, name: &str) -> bool {
        self.children.values().any(|child| child.container() == Some(name))
    }
}

fn done() -> Result<Option<Reply>> {
    Ok(Some(Reply::Done))
}

/// Fails for a path that a container's root cannot have.
pub(crate) fn check_path(path: &str) -> Result<()> {
    match path.starts_with('/') && !path.contains('\0') {
        true => Ok(()),
        false => Err(Failure::new(ErrorCode::Invalid, format!("path {path:?} is not absolute"))),
    }
}
