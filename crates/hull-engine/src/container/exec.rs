//! More processes in a running container.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hull_plan::{ContainerConfig, Linked};
use hull_spec::ConsoleSize;
use hull_supervisor::client::ClientError;
use hull_supervisor::control::{self, Attach};
use hull_supervisor::{Exit, FailureCode};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::watch;

use super::attach::{Attached, Detach, pair};
use super::detach::Keys;
use super::entry::Container;
use super::kill::{self, failed};
use super::record::Record;
use super::state::Status;
use crate::{Engine, Error, Result, host, random};

/// What to execute.
#[derive(Clone, Debug, Default)]
pub struct ExecConfig {
    pub cmd: Vec<String>,
    /// Added to the container's own environment, `NAME=value`.
    pub env: Vec<String>,
    /// `None`: the container's.
    pub user: Option<String>,
    /// `None`: the container's.
    pub working_dir: Option<String>,
    pub tty: bool,
    pub privileged: bool,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    /// As in [`crate::AttachOptions::detach_keys`].
    pub detach_keys: Option<String>,
    /// Rows and columns of the terminal at first.
    pub console_size: Option<(u16, u16)>,
}

/// How to start an exec.
#[derive(Clone, Debug, Default)]
pub struct ExecStartOptions {
    /// Do not connect to its streams.
    pub detach: bool,
    /// Rows and columns of the terminal at first; `None`: as at creation.
    pub console_size: Option<(u16, u16)>,
}

/// An exec as it is now.
#[derive(Clone, Debug)]
pub struct ExecInspect {
    pub id: String,
    pub container: String,
    pub running: bool,
    /// Once it has ended or could not be started.
    pub exit_code: Option<i32>,
    /// Process id in the guest, 0 before the start.
    pub pid: i32,
    /// `user` and `working_dir` are those in effect.
    pub config: ExecConfig,
}

impl Engine {
    /// Prepares a process in a running container and returns the exec's id (64 hex digits).
    ///
    /// # Errors
    /// No such container; conflict if it does not run or is paused; no command.
    pub async fn exec_create(&self, container: &str, mut config: ExecConfig) -> Result<String> {
        if config.cmd.is_empty() {
            return Err(Error::InvalidParameter("No exec command specified".into()));
        }
        let found = self.inner.containers.find(container)?;
        check_active(&found, container)?;
        let keys = Keys::parse(config.detach_keys.as_deref(), "escape")?;
        let of_container = found.record().config.clone();
        let or_else = |given: Option<String>, default: &str| match given {
            Some(given) if !given.is_empty() => Some(given),
            _ => Some(default.to_owned()),
        };
        config.user = or_else(config.user, &of_container.user);
        config.working_dir = or_else(config.working_dir, &of_container.working_dir);
        let id = random::id()?;
        let command = config.cmd.join(" ");
        self.inner.execs.insert(ExecEntry {
            id: id.clone(),
            container: Arc::clone(&found),
            config,
            keys,
            phase: watch::Sender::new(Phase::Created),
        });
        let extra = [("execID", id.clone())];
        self.tell(&found, format!("exec_create: {command}"), &extra);
        Ok(id)
    }

    /// Starts a prepared process, connected to its streams unless `detach`.
    ///
    /// # Errors
    /// No such exec; conflict if it has run; [`Error::Start`] if the program cannot be executed.
    pub async fn exec_start(
        &self,
        exec: &str,
        options: ExecStartOptions,
    ) -> Result<Option<Attached>> {
        let begin = Instant::now();
        let entry = self.inner.execs.find(exec)?;
        check_active(&entry.container, &entry.container.id)?;
        entry.begin()?;
        self.detached(move |engine| async move {
            let started = engine.run_exec(&entry, &options).await;
            match &started {
                Ok(_) => engine.inner.metrics.exec_started(begin.elapsed()),
                Err(_) => engine.inner.metrics.exec_failed(),
            }
            if let Err(error) = &started {
                entry.end(error.exit_code().unwrap_or(126));
                entry.container.execs().remove(&entry.id);
            }
            started
        })
        .await
    }

    /// Describes an exec. It is remembered for five minutes after its end at least.
    ///
    /// # Errors
    /// No such exec.
    pub async fn exec_inspect(&self, exec: &str) -> Result<ExecInspect> {
        let entry = self.inner.execs.find(exec)?;
        let phase = *entry.phase.borrow();
        let (running, exit_code, pid) = match phase {
            Phase::Created => (false, None, 0),
            Phase::Starting => (true, None, 0),
            Phase::Running { pid } => (true, None, pid),
            Phase::Ended { exit_code, pid, .. } => (false, Some(exit_code), pid),
        };
        Ok(ExecInspect {
            id: entry.id.clone(),
            container: entry.container.id.clone(),
            running,
            exit_code,
            pid,
            config: entry.config.clone(),
        })
    }

    /// Sets the size of an exec's terminal.
    ///
    /// # Errors
    /// No such exec, or it does not run.
    pub async fn exec_resize(&self, exec: &str, rows: u16, columns: u16) -> Result<()> {
        let entry = self.inner.execs.find(exec)?;
        check_active(&entry.container, &entry.container.id)?;
        let mut phase = entry.phase.subscribe();
        // The guard of the watched value must not live on: it cannot be held over an await.
        let ready = async {
            let ready = phase.wait_for(|phase| !matches!(phase, Phase::Created | Phase::Starting));
            matches!(ready.await.as_deref(), Ok(Phase::Running { .. }))
        };
        let ready = tokio::time::timeout(RESIZE_TIMEOUT, ready).await;
        let running = ready.map_err(|_| Error::Internal {
            context: "timeout waiting for exec session ready".into(),
            source: None,
        })?;
        if !running {
            return Err(Error::InvalidParameter("exec process is not started".into()));
        }
        let task = self.running_task(&entry.container)?;
        let resized = task.resize(Some(&entry.id), rows, columns).await;
        resized.map_err(|error| failed(&entry.container, error, "cannot resize an exec in"))
    }

    async fn run_exec(
        &self,
        entry: &Arc<ExecEntry>,
        options: &ExecStartOptions,
    ) -> Result<Option<Attached>> {
        let (config, container) = (&entry.config, &entry.container);
        let task = self.running_task(container)?;
        let extra = [("execID", entry.id.clone())];
        let command = config.cmd.join(" ");
        self.tell(container, format!("exec_start: {command}"), &extra);
        let wanted = Attach {
            stdin: config.attach_stdin && !options.detach,
            stdout: config.attach_stdout && !options.detach,
            stderr: config.attach_stderr && !options.detach && !config.tty,
        };
        let linked = self.linked(&entry.container)?;
        let exec = exec_request(entry, linked, options.console_size, wanted)?;
        let detach = Detach {
            engine: self.clone(),
            container: Arc::clone(container),
            exec: Some(entry.id.clone()),
        };
        let (attached, pipes) = pair(wanted, config.tty, entry.keys.clone(), detach);
        container.execs().insert(entry.id.clone());
        let started = task.exec(exec, pipes).await;
        let started = started.map_err(|error| exec_error(container, error))?;
        entry.phase.send_if_modified(|phase| {
            let is_new = matches!(phase, Phase::Starting);
            if is_new {
                *phase = Phase::Running { pid: started.pid };
            }
            is_new
        });
        let (engine, entry) = (self.downgrade(), Arc::clone(entry));
        tokio::spawn(async move {
            // Without an answer its container was killed, and it with it.
            let exit = started.exit.await;
            let exit = exit.unwrap_or_else(|_| Exit::supervisor_died());
            if let Some(engine) = Engine::upgrade(&engine) {
                engine.exec_ended(&entry, exit.code);
            }
        });
        Ok((!options.detach).then_some(attached))
    }

    fn exec_ended(&self, entry: &ExecEntry, exit_code: i32) {
        entry.container.execs().remove(&entry.id);
        if entry.end(exit_code) {
            let extra = [("execID", entry.id.clone()), ("exitCode", exit_code.to_string())];
            self.tell(&entry.container, "exec_die", &extra);
        }
    }
}

/// All execs that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    entries: Mutex<HashMap<String, Arc<ExecEntry>>>,
}

impl Execs {
    /// The container has ended, and all its processes with it.
    pub(crate) fn container_ended(&self, container: &Container) {
        container.execs().clear();
        for entry in self.entries().values() {
            if entry.container.id == container.id
                && !matches!(*entry.phase.borrow(), Phase::Created)
            {
                entry.end(137);
            }
        }
    }

    /// The container is gone.
    pub(crate) fn forget(&self, container: &str) {
        self.entries().retain(|_, entry| entry.container.id != container);
    }

    fn insert(&self, entry: ExecEntry) {
        let mut entries = self.entries();
        // Those that were never started go as well, but later.
        entries.retain(|_, entry| match *entry.phase.borrow() {
            Phase::Ended { at, .. } => at.elapsed() < REMEMBERED,
            _ => true,
        });
        entries.insert(entry.id.clone(), Arc::new(entry));
    }

    fn find(&self, id: &str) -> Result<Arc<ExecEntry>> {
        let entries = self.entries();
        if let Some(entry) = entries.get(id) {
            return Ok(Arc::clone(entry));
        }
        Err(Error::NoSuchExec(id.to_owned()))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Arc<ExecEntry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct ExecEntry {
    id: String,
    container: Arc<Container>,
    config: ExecConfig,
    keys: Keys,
    phase: watch::Sender<Phase>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Created,
    Starting,
    Running { pid: i32 },
    Ended { exit_code: i32, pid: i32, at: Instant },
}

impl ExecEntry {
    /// Claims the one start that an exec has.
    fn begin(&self) -> Result<()> {
        let mut refusal = None;
        self.phase.send_if_modified(|phase| {
            refusal = match phase {
                Phase::Created => None,
                Phase::Starting | Phase::Running { .. } => Some("is already running"),
                Phase::Ended { .. } => Some("has already run"),
            };
            if refusal.is_none() {
                *phase = Phase::Starting;
            }
            refusal.is_none()
        });
        match refusal {
            None => Ok(()),
            Some(why) => Err(Error::Conflict(format!("exec command {} {why}", self.id))),
        }
    }

    /// Notes the end; false if it was noted before.
    fn end(&self, exit_code: i32) -> bool {
        self.phase.send_if_modified(|phase| {
            let pid = match phase {
                Phase::Ended { .. } => return false,
                Phase::Running { pid } => *pid,
                _ => 0,
            };
            *phase = Phase::Ended { exit_code, pid, at: Instant::now() };
            true
        })
    }
}

/// Refuses containers in which nothing can be executed now; `given` is what the user calls it.
fn check_active(container: &Container, given: &str) -> Result<()> {
    match container.live().state.status {
        Status::Running => Ok(()),
        Status::Paused => Err(Error::Conflict(format!(
            "Container {given} is paused, unpause the container before exec"
        ))),
        Status::Restarting => Err(kill::restarting(&container.id)),
        _ => Err(Error::NotRunning(container.id.clone())),
    }
}

/// Builds the request: the container's own process with what the exec says otherwise.
fn exec_request(
    entry: &ExecEntry,
    linked: Vec<Linked>,
    console_size: Option<(u16, u16)>,
    wanted: Attach,
) -> Result<control::Exec> {
    let config = &entry.config;
    let mut of_container: ContainerConfig = entry.container.record().config.clone();
    // Planning the container with these tells what environment and privileges they bring.
    of_container.tty = config.tty;
    of_container.linked = linked;
    of_container.host.privileged |= config.privileged;
    let plan = hull_plan::plan(&entry.container.id, &of_container, &host::plan_host())?;
    let mut process = plan.spec.process.unwrap_or_default();
    process.args.clone_from(&config.cmd);
    process.env = hull_plan::overlay_environment(process.env, &config.env);
    process.terminal = config.tty;
    process.console_size = console_size
        .or(config.console_size)
        .filter(|_| config.tty)
        .map(|(height, width)| ConsoleSize { height, width });
    process.cwd = match config.working_dir.as_deref() {
        None | Some("") => "/".to_owned(),
        Some(dir) => dir.to_owned(),
    };
    let process = to_raw_value(&process)
        .map_err(|error| Error::internal("cannot encode a process", error))?;
    Ok(control::Exec {
        exec: entry.id.clone(),
        process,
        user: Some(
            hull_plan::effective_user(config.user.as_deref().unwrap_or_default()).to_owned(),
        ),
        tty: config.tty,
        privileged: config.privileged,
        attach: wanted,
    })
}

/// Returns the process that checks the health of a container, and the user who runs it.
pub(crate) fn process_of_check(
    record: &Record,
    command: Vec<String>,
) -> Result<(Box<RawValue>, String)> {
    let mut config = record.config.clone();
    config.tty = false;
    let plan = hull_plan::plan(&record.id, &config, &host::plan_host())?;
    let mut process = plan.spec.process.unwrap_or_default();
    process.args = command;
    let process = to_raw_value(&process)
        .map_err(|error| Error::internal("cannot encode a process", error))?;
    Ok((process, hull_plan::effective_user(&record.config.user).to_owned()))
}

fn exec_error(container: &Container, error: ClientError) -> Error {
    match error {
        ClientError::Failed(failure) if failure.code != FailureCode::NotRunning => {
            // Docker looks users up itself, before it asks the runtime.
            let message = match failure.message {
                message if message.starts_with("unable to find ") => message,
                // runc looks at the process before it starts one.
                message if message.starts_with("Cwd must be ") => {
                    format!("{EXEC_FAILED}: {message}: unknown")
                }
                message => {
                    format!("{EXEC_FAILED}: unable to start container process: {message}: unknown")
                }
            };
            Error::Start { message, exit_code: NOT_STARTED, hint: failure.hint }
        }
        error => failed(container, error, "cannot execute in container"),
    }
}

/// Exit code of an exec that could not be started, whatever the reason: as Docker 20.10, the oracle
/// of the tests, has it. Later releases say 127 where the program is missing.
const NOT_STARTED: i32 = 126;
/// What Docker's engine puts before the reason when an exec cannot be started.
const EXEC_FAILED: &str = "OCI runtime exec failed: exec failed";
/// Time for which an exec is remembered after its end.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Time that a resize waits for a start that is under way.
const RESIZE_TIMEOUT: Duration = Duration::from_secs(10);
