//! The life of one container, from boot to record.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hull_guest::{Events, Guest, OutputStreams, Pending};
use hull_protocol::{Create, Event, Hello, Reply, Request, Rootfs, Stdio, StreamId};
use hull_share::Server;
use hull_vmm::{Machine, Shape, Slot};
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::control::{Exit, Failure, FailureCode, Notice};
use crate::state::{State, Status};

use super::cloned::OpenDisk;
use super::console::{self, Tail};
use super::context::{Context, chain, failure};
use super::daemon::Daemon;
use super::identity;
use super::machine::{Launched, Launcher};
use super::network::{Configuring, Joining, Membership};
use super::offspring::{self, Source};
use super::sockets::{Published, Sockets};
use super::wiring::Wired;
use super::{output, shares, wiring};

/// Runs the container and returns how it ended, after its machine has. The state on disk says
/// everything but that: the caller records the end when it has let go of the container.
pub(super) async fn supervise<L: Launcher>(
    context: &Arc<Context>,
    launcher: &L,
    control: UnixStream,
) -> Exit {
    let daemon = Daemon::new(control, context.clone());
    daemon.tell(&Notice::Listening).await;
    let mut terminate = Terminate::new();
    let mut machine = None;
    let started = tokio::select! {
        // Whoever gives up first, the container must not start after it.
        biased;
        () = daemon.gone() => Err(given_up("the daemon has gone before the start")),
        () = context.destroy.notified() => Err(given_up("stopped before its start")),
        () = terminate.received() => Err(given_up("stopped before its start")),
        started = start(context, launcher, &daemon, &mut machine) => started,
    };
    let exit_of = |failure: Failure| Exit {
        code: failure.exit_code(),
        error: Some(failure.message),
        ..Exit::default()
    };
    let (mut running, started, machine) = match (started, &mut machine) {
        (Ok((running, started)), Some(machine)) => (running, started, machine),
        (started, machine) => {
            let failure = started.err().unwrap_or_else(unfit);
            daemon.fail(&failure).await;
            if let Some(machine) = machine {
                machine.kill();
                machine.wait().await;
            }
            return exit_of(failure);
        }
    };
    let exit = match started {
        Ok(()) => {
            daemon.started(&context.state()).await;
            let clock = tokio::task::spawn_local(super::clock::keep(running.guest.clone()));
            let vmm = context.state().vmm_pid;
            let courtesy = vmm.map(|vmm| tokio::task::spawn_local(super::courtesy::keep(vmm)));
            let health = tokio::task::spawn_local(super::health::keep(context.clone()));
            let exit = running.until_exit(context, machine, &mut terminate).await;
            clock.abort();
            health.abort();
            if let Some(courtesy) = courtesy {
                courtesy.abort();
            }
            super::health::end(context);
            exit
        }
        Err(failure) => {
            daemon.fail(&failure).await;
            exit_of(failure)
        }
    };
    drop(daemon);
    running.finish(context, machine, &exit).await;
    exit
}

/// A container that has been asked to execute its program.
struct Running {
    guest: Guest,
    events: Events,
    output: JoinHandle<()>,
    console: JoinHandle<()>,
    tail: Tail,
    shape: Option<Shape>,
    disks: Vec<OpenDisk>,
    writable: Slot,
    stdio: Stdio,
    /// What the kernel had logged before the machine was cloned or forked.
    boot_messages: String,
    membership: Option<Membership>,
    shares: Option<Server>,
    sockets: Sockets,
}

/// Boots the machine, creates the container, waits for the daemon's word and starts it.
async fn start<L: Launcher>(
    context: &Arc<Context>,
    launcher: &L,
    daemon: &Daemon,
    machine: &mut Option<L::Machine>,
) -> Result<(Running, Result<(), Failure>), Failure> {
    // Compiling a seccomp profile takes a while: do it while the machine starts.
    let profile = context.launch.spec.clone();
    let arch = context.launch.machine.arch.clone();
    let compiling =
        tokio::task::spawn_blocking(move || hull_guest::seccomp::extract(&profile, &arch));
    let published = match context.launch.visit {
        true => Vec::new(),
        false => Published::all(&context.launch.sockets)?,
    };
    let joining = Joining::begin(context);
    let launched = launcher.launch(context).await?;
    let Launched { origin, writable, greeted, shape, disks, running, wired, .. } = launched;
    let server = launched.shares;
    let machine = machine.insert(launched.machine);
    context.note(|state| state.start = Some(origin));
    let shares = match &running {
        Some(_) => server,
        None => shares::serve(&context.launch.shares, machine, server)?,
    };
    let vmm_pid = machine.pid();
    context.update(|state| state.vmm_pid = vmm_pid).map_err(internal)?;
    let tail = Tail::default();
    let boot_log = console::open(context.dir()).map_err(internal)?;
    let console = match machine.take_console() {
        Some(pipe) => tokio::task::spawn_local(console::keep(pipe, boot_log, tail.clone())),
        None => tokio::task::spawn_local(async {}),
    };
    let mut boot_messages = String::new();
    let (guest, events) = match greeted {
        Some(greeted) => {
            context.note(|state| state.guest_kernel = greeted.kernel);
            console::append(context.dir(), &console::without_priorities(&greeted.boot_log));
            boot_messages = greeted.boot_log;
            match greeted.channel {
                Some(channel) => channel,
                None => Guest::resume(machine.take_channel().ok_or_else(unfit)?),
            }
        }
        None => {
            let channel = machine.take_channel().ok_or_else(unfit)?;
            greet(context, machine, channel, &tail).await?
        }
    };
    let (spec, seccomp) = compiling
        .await
        .map_err(|error| Failure::new(FailureCode::Failed, error.to_string()))?
        .map_err(|error| Failure::new(FailureCode::Invalid, chain(&error)))?;

    let (create, outputs, stdin) = creation(context, &guest, writable, spec, seccomp);
    let stdio = create.stdio.clone();
    let begun = match running {
        None => {
            let mut identity = identity::of(&context.launch).map_err(internal)?;
            // What is ready for those that have a network is not for others to see.
            identity.isolated = joining.is_none() && wired.iter().any(Wired::is_spare);
            let configured = guest.send(&Request::Configure(identity));
            Begun::Created { configured, created: guest.send(&Request::Create(Box::new(create))) }
        }
        Some(running) => {
            let adopt = offspring::adopt(&context.launch, running, stdio.clone());
            Begun::Running(adopt.map_err(internal)?)
        }
    };
    if let Some(stdin) = stdin {
        context.stdin.connect(stdin).await;
    }
    let (configuring, membership) = match joining {
        Some(joining) => {
            let (configuring, membership) = joining.plug(context, machine, &guest, wired).await?;
            (configuring, Some(membership))
        }
        None => {
            wiring::unplug(machine, wired).await?;
            (Configuring::default(), None)
        }
    };
    context.set_guest(guest.clone());
    let output = tokio::task::spawn_local(output::pump(context.clone(), outputs));
    let sockets = Sockets::open(context, &guest, published, shares.as_ref());
    let running = Running {
        guest,
        events,
        output,
        console,
        tail,
        shape,
        disks,
        writable,
        stdio,
        boot_messages,
        membership,
        shares,
        sockets,
    };
    let started = running.create_and_start(context, machine, daemon, begun, configuring).await;
    Ok((running, started))
}

/// What the guest has been asked for before the container may start.
enum Begun {
    Created {
        configured: Pending,
        created: Pending,
    },
    /// Nothing: the container runs, frozen, and becomes what is described.
    Running(Request),
}

/// Waits for the agent of a machine that boots.
async fn greet(
    context: &Context,
    machine: &mut impl Machine,
    channel: UnixStream,
    tail: &Tail,
) -> Result<(Guest, Events), Failure> {
    let connecting = Guest::connect(channel, SOFTWARE, BOOT_PATIENCE);
    let connected = tokio::select! {
        connected = connecting => connected,
        end = machine.wait() => {
            let message = format!("the machine ended while it booted: {}", why(&end, tail));
            return Err(Failure::new(FailureCode::Boot, message));
        }
    };
    match connected {
        Ok((guest, events, hello)) => {
            context.mark(|timings| &mut timings.hello);
            note_hello(context, &hello);
            Ok((guest, events))
        }
        Err(error) => {
            // If the machine dies, its channel closes; what it died of says more.
            let end = timeout(Duration::from_millis(200), machine.wait()).await.ok();
            let reason = match &end {
                Some(end) => why(end, tail),
                None => tail.last_line().unwrap_or_default(),
            };
            let message = match reason.as_str() {
                "" => chain(&error),
                reason => format!("{}: {reason}", chain(&error)),
            };
            Err(Failure {
                code: FailureCode::Boot,
                message,
                hint: Some("`hull logs --boot` shows the guest's console".to_owned()),
            })
        }
    }
}

impl Running {
    async fn create_and_start(
        &self,
        context: &Arc<Context>,
        machine: &mut impl Machine,
        daemon: &Daemon,
        begun: Begun,
        configuring: Configuring,
    ) -> Result<(), Failure> {
        let guest = self.guest.clone();
        let mut adopt = None;
        let (configured, created) = match begun {
            Begun::Created { configured, created } => (Some(configured), Some(created)),
            Begun::Running(request) => {
                adopt = Some(request);
                (None, None)
            }
        };
        let prepare = async {
            if let Some(configured) = configured {
                configured.done().await.map_err(failure)?;
                context.mark(|timings| &mut timings.configured);
            }
            if let Some(created) = created {
                match created.reply().await.map_err(failure)? {
                    Reply::Created { pid } => context.note(|state| state.guest_pid = Some(pid)),
                    _ => return Err(unfit()),
                }
                context.mark(|timings| &mut timings.created);
            }
            daemon.tell(&Notice::Created(context.state().timings)).await;
            Ok(())
        };
        let start = async {
            daemon.start_requested().await;
            // Its program finds its networks.
            configuring.done().await?;
            context.mark(|timings| &mut timings.network_configured);
            // Sent without waiting for the creation: the guest does one after the other.
            let container = context.launch.container.clone();
            let request = adopt.take().unwrap_or(Request::Start { container });
            guest.send(&request).reply().await.map_err(failure)
        };
        let both = async {
            tokio::pin!(start);
            tokio::select! {
                biased;
                prepared = prepare => {
                    prepared?;
                    start.await
                }
                started = &mut start => started,
            }
        };
        let started = tokio::select! {
            started = both => started,
            end = machine.wait() => Err(died(&end, &self.tail)),
        };
        match started? {
            Reply::Started { pid } => {
                context.mark(|timings| &mut timings.started);
                let update = |state: &mut State| {
                    state.status = Status::Running;
                    state.guest_pid = Some(pid);
                    state.started_at = Some(Timestamp::now());
                };
                context.update(update).map_err(internal)
            }
            _ => Err(unfit()),
        }
    }

    /// Waits until the init process has ended, or the machine under it.
    async fn until_exit(
        &mut self,
        context: &Arc<Context>,
        machine: &mut (impl Machine + Send + 'static),
        terminate: &mut Terminate,
    ) -> Exit {
        let mut is_killed = false;
        loop {
            tokio::select! {
                biased;
                event = self.events.next() => match event {
                    Some(Event::Connected { share, node, connection }) => {
                        self.sockets.connected(context, share, node, connection);
                    }
                    Some(event) => {
                        if let Some(exit) = handle(context, event) {
                            return exit;
                        }
                    }
                    None if is_killed => {
                        return Exit { code: 137, signal: Some(9), oom_killed: false, error: None };
                    }
                    None => return self.broken(machine).await,
                },
                () = context.destroy.notified() => {
                    is_killed = true;
                    machine.kill();
                }
                wanted = context.copy_wanted() => {
                    let source = Source {
                        machine: &mut *machine,
                        guest: &self.guest,
                        shape: self.shape.as_ref(),
                        disks: &self.disks,
                        writable: self.writable,
                        stdio: &self.stdio,
                        boot_log: &self.boot_messages,
                        shares: self.shares.as_ref(),
                        wired: self.membership.as_ref().map(Membership::wired).unwrap_or_default(),
                    };
                    offspring::copy(context, source, wanted).await;
                }
                change = context.rewiring.next() => {
                    change.make(context, &mut self.membership, machine).await;
                }
                () = terminate.received() => {
                    let context = context.clone();
                    tokio::task::spawn_local(async move {
                        super::stop::stop(&context, Default::default()).await;
                    });
                }
            }
        }
    }

    /// The channel has closed: returns why.
    async fn broken(&self, machine: &mut impl Machine) -> Exit {
        let reason = self.guest.closed().await;
        let end = timeout(LAST_WORDS, machine.wait()).await;
        let message = match end {
            Ok(end) => died(&end, &self.tail).message,
            Err(_) => format!("guest channel closed: {}", chain(&reason)),
        };
        Exit { code: 137, signal: Some(9), oom_killed: false, error: Some(message) }
    }

    /// Lets output flow out and ends the machine.
    async fn finish(mut self, context: &Context, machine: &mut impl Machine, exit: &Exit) {
        context.set_exit(exit);
        context.hub.drain();
        // After an orderly end all output is under way; what never ran has none.
        let patience = match context.state().started_at {
            Some(_) => DRAIN_PATIENCE,
            None => Duration::ZERO,
        };
        if timeout(patience, &mut self.output).await.is_err() {
            self.output.abort();
        }
        context.mark(|timings| &mut timings.exited);
        context.hub.finish(exit);
        context.stdin.close().await;
        self.sockets.close().await;
        let _ = timeout(TRANSFER_PATIENCE, context.transferred()).await;
        if !context.launch.discard {
            let shutdown = self.guest.send(&Request::Shutdown);
            let ended = async {
                if shutdown.done().await.is_ok() {
                    machine.wait().await;
                }
            };
            // A guest that is not able to end itself is ended.
            let _ = timeout(SHUTDOWN_PATIENCE, ended).await;
        }
        context.clear_guest();
        machine.kill();
        machine.wait().await;
        // Before anyone learns of the end: a restart may follow at once. After that of the machine,
        // which would be the last to have its taps, and wait for the kernel to let go of them.
        if let Some(membership) = self.membership {
            membership.end().await;
        }
        let _ = timeout(LAST_WORDS, self.console).await;
        context.mark(|timings| &mut timings.machine_ended);
    }
}

/// Acts on an event; returns the exit of the init process.
fn handle(context: &Context, event: Event) -> Option<Exit> {
    match event {
        Event::Exited { target, status, oom_killed }
            if target.container == context.launch.container =>
        {
            match target.exec {
                Some(exec) => {
                    context.end_exec(&exec, Some(status));
                    None
                }
                None => Some(Exit {
                    code: status.code(),
                    signal: match status {
                        hull_protocol::ExitStatus::Signal(signal) => Some(signal),
                        hull_protocol::ExitStatus::Code(_) => None,
                    },
                    oom_killed,
                    error: None,
                }),
            }
        }
        Event::KernelLog { text } => {
            console::append(context.dir(), &console::without_priorities(&text));
            None
        }
        Event::Warning { message } => {
            console::append(context.dir(), &format!("hull-init: {message}\n"));
            None
        }
        Event::Exited { .. } | Event::OutOfMemory { .. } | Event::Connected { .. } => None,
    }
}

fn creation(
    context: &Context,
    guest: &Guest,
    writable: Slot,
    spec: Box<RawValue>,
    seccomp: Option<String>,
) -> (Create, OutputStreams, Option<hull_guest::InputStream>) {
    let launch = &context.launch;
    let terminal = launch.stdio.tty;
    let outputs = guest.outputs(if terminal { 1 } else { 2 });
    let stdin = launch.stdio.open_stdin.then(|| guest.input());
    let stderr: Option<StreamId> = (!terminal).then(|| outputs.id(1));
    let image_type = match launch.disks.image_type.as_str() {
        "" => "erofs",
        other => other,
    };
    let create = Create {
        container: launch.container.clone(),
        spec,
        rootfs: Rootfs {
            image: "image".to_owned(),
            image_type: image_type.to_owned(),
            scratch: launch.disks.scratch.as_ref().map(|_| writable.name().to_owned()),
        },
        seccomp,
        user: launch.user.clone(),
        groups: launch.groups.clone(),
        files: launch.files.clone(),
        shares: shares::described(&launch.shares),
        init: launch.init,
        stdio: Stdio {
            stdin: stdin.as_ref().map(hull_guest::InputStream::id),
            stdout: Some(outputs.id(0)),
            stderr,
            terminal,
        },
    };
    (create, outputs, stdin)
}

fn note_hello(context: &Context, hello: &Hello) {
    context.note(|state| {
        state.guest_kernel = hello.kernel.clone();
        state.timings.guest_uptime = hello.uptime_us;
    });
}

fn died(end: &hull_vmm::End, tail: &Tail) -> Failure {
    let message = format!("VMM ended: {}", why(end, tail));
    Failure::new(FailureCode::Failed, message)
}

/// Returns what a machine ended of: the VMM's complaint, its signal, or the guest's last words.
fn why(end: &hull_vmm::End, tail: &Tail) -> String {
    match tail.last_line() {
        Some(line) if end.message.trim().is_empty() && end.signal.is_none() => line,
        _ => end.to_string(),
    }
}

fn given_up(reason: &str) -> Failure {
    Failure::new(FailureCode::NotRunning, reason)
}

fn internal(error: io::Error) -> Failure {
    Failure::new(FailureCode::Failed, chain(&error))
}

fn unfit() -> Failure {
    Failure::new(FailureCode::Failed, "the guest gave an answer that does not fit the question")
}

/// SIGTERM: whoever sends it wants the container stopped.
struct Terminate(Option<tokio::signal::unix::Signal>);

impl Terminate {
    fn new() -> Self {
        let kind = tokio::signal::unix::SignalKind::terminate();
        Self(tokio::signal::unix::signal(kind).ok())
    }

    async fn received(&mut self) {
        match &mut self.0 {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

const SOFTWARE: &str = concat!("hull ", env!("CARGO_PKG_VERSION"));
/// A cold boot takes a second under emulation; a loaded machine may take many times that.
const BOOT_PATIENCE: Duration = Duration::from_secs(60);
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
/// How long a transfer of files that was begun while the container ran may take after its end.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(10);
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);
const LAST_WORDS: Duration = Duration::from_secs(1);
