//! Start.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hull_plan::ContainerConfig;
use hull_supervisor::client::{ClientError, Liveness};
use hull_supervisor::launch::StartFrom;
use hull_supervisor::{Exit, FailureCode, Mode, state as supervisor};
use jiff::Timestamp;
use tracing::{debug, warn};

use super::entry::Container;
use super::record::Record;
use super::remove::RemoveOptions;
use super::state::{State, Status};
use super::timings::{self, SPAWN, Stopwatch};
use crate::error::one_line;
use crate::isolation::Isolation;
use crate::{Engine, Error, Result, host, layout};

impl Engine {
    /// Starts a container and returns once its program has been executed. Clients that have
    /// attached before are connected before that.
    ///
    /// # Errors
    /// No such container; [`Error::NotModified`] if it runs; [`Error::Start`] if its program
    /// cannot be executed (exit code 126 or 127) or the machine does not start (128).
    pub async fn start(&self, container: &str) -> Result<()> {
        let watch = Stopwatch::start();
        let container = self.inner.containers.find(container)?;
        self.detached(move |engine| async move {
            engine.start_container(&container, watch, Occasion::Asked).await
        })
        .await
    }

    /// Runs `operation` to its end even if the caller goes away in the middle.
    pub(crate) async fn detached<T, F>(&self, operation: impl FnOnce(Engine) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        tokio::spawn(operation(self.clone()))
            .await
            .map_err(|error| Error::internal("an operation was interrupted", error))?
    }

    pub(crate) async fn start_container(
        &self,
        container: &Arc<Container>,
        mut watch: Stopwatch,
        occasion: Occasion,
    ) -> Result<()> {
        let _busy = self.inner.pool.busy();
        let gate = container.gate.lock().await;
        let live = container.live();
        match live.state.status {
            Status::Paused => {
                return Err(Error::Conflict(
                    "cannot start a paused container, try unpause instead".into(),
                ));
            }
            Status::Running => {
                return Err(Error::NotModified("container is already running".into()));
            }
            Status::Restarting if occasion != Occasion::Policy => {
                return Err(Error::NotModified("container is already running".into()));
            }
            // It was stopped or started while it waited.
            status if occasion == Occasion::Policy && status != Status::Restarting => {
                return Ok(());
            }
            _ if container.damage.is_some() => return Err(damaged(container)),
            _ if live.removing || live.removed => {
                return Err(Error::Conflict(
                    "container is marked for removal and cannot be started".into(),
                ));
            }
            _ => {}
        }
        if occasion != Occasion::Policy {
            container.user_starts();
        }
        let from = match occasion {
            Occasion::From(from) => Some(from),
            _ => None,
        };
        match self.launch_container(container, &mut watch, from).await {
            Ok(state) => {
                let (timings, took) = watch.finish();
                let phases = timings::merge(&timings, &state.timings);
                let mode = state.start.as_ref().map_or(Mode::Cold, |origin| origin.mode);
                self.inner.metrics.started(mode, took, &phases);
                if let Some(microseconds) = state.timings.template_built {
                    let took = Duration::from_micros(microseconds);
                    self.inner.metrics.template_built(took);
                }
                if self.inner.pool.is_on() {
                    self.inner.metrics.pool_asked(mode == Mode::Pool);
                }
                container.change(|live| {
                    live.state = State::from_supervisor(&state, None);
                    live.engine_timings = timings;
                    live.take_run(state);
                });
                container.begin_health();
                self.tell_networks(container, "connect");
                self.tell_mounts(container, "mount");
                self.tell(container, "start", &[]);
                self.monitor(container);
                Ok(())
            }
            Err(error) => {
                self.inner.metrics.start_failed(&error);
                self.record_failed_start(container, &error);
                drop(gate);
                if container.record().config.host.auto_remove {
                    self.remove_ended(container).await;
                }
                Err(error)
            }
        }
    }

    async fn launch_container(
        &self,
        container: &Arc<Container>,
        watch: &mut Stopwatch,
        from: Option<StartFrom>,
    ) -> Result<supervisor::State> {
        let record = container.record();
        let driver = self.inner.drivers.named(&record.config.host.isolation)?;
        self.wait_for_predecessor(&container.dir, driver).await?;
        self.end_visit(container).await?;
        self.fill_volumes_before(container).await;
        let (engine, starting, prepared) = (self.clone(), container.clone(), record.clone());
        let launch = tokio::task::spawn_blocking(move || {
            let host = host::plan_host();
            let connected = engine.connect_for_start(&starting, &prepared, from.as_ref())?;
            let Record { id, config, .. } = &*prepared;
            let config = &ContainerConfig { linked: engine.linked(&starting)?, ..config.clone() };
            let mut plan = hull_plan::plan(id, config, &host)?;
            if let Some(facts) = &connected.facts {
                plan.files.extend(hull_plan::network_files(config, id, &host, facts)?);
            }
            engine.prepare_launch(&starting.dir, &prepared, &plan, from, connected.launch)
        })
        .await
        .map_err(|error| Error::internal("preparing a start was interrupted", error))??;
        watch.lap("engine: prepare");
        let launched = driver.launch(&container.dir, &launch).await.map_err(start_error)?;
        watch.lap(SPAWN);
        let task = launched.task();
        let waiting = container.serve_streams(Arc::clone(&task));
        let connected = join_all(waiting.into_iter().map(|pipes| task.attach(pipes))).await;
        for error in connected.into_iter().filter_map(Result::err) {
            // The client sees the end of its streams; the container is not held up by that.
            warn!(container = record.short_id(), %error, "cannot connect a client");
        }
        watch.lap("engine: connect clients");
        let state = launched.execute().await.map_err(start_error)?;
        watch.lap("engine: boot and execute");
        Ok(state)
    }

    /// Waits until the supervisor of the run before has gone, which has nothing left to do; ends
    /// one that does not go.
    pub(super) async fn wait_for_predecessor(
        &self,
        dir: &Path,
        driver: &Arc<dyn Isolation>,
    ) -> Result<()> {
        for attempt in 0.. {
            let found = driver.recover(dir);
            let found = found.map_err(Error::supervisor("cannot start the container"))?;
            match (found, attempt) {
                (Liveness::Dead(_), _) => break,
                (Liveness::Alive, ..PREDECESSOR_POLLS) => {}
                (Liveness::Alive, PREDECESSOR_POLLS) => {
                    let destroyed = driver.task(dir).destroy().await;
                    destroyed.map_err(Error::supervisor("cannot end the run before of"))?;
                }
                (Liveness::Alive, _) => {
                    return Err(Error::Internal {
                        context: format!(
                            "the supervisor of the last run in {} does not end",
                            dir.display()
                        ),
                        source: None,
                    });
                }
            }
            tokio::time::sleep(PREDECESSOR_POLL).await;
        }
        Ok(())
    }

    /// Leaves the container as it was before, with the failure's exit code and text.
    fn record_failed_start(&self, container: &Container, error: &Error) {
        container.end_streams();
        let exit_code = error.exit_code().unwrap_or(128);
        let dir = &container.dir;
        let previous = read_previous(dir);
        // A supervisor that got that far has written this itself; one that did not, not.
        let left = supervisor::State::read(dir).ok().flatten();
        let state = match left {
            Some(state)
                if state.status == supervisor::Status::Exited
                    && state.started_at.is_none()
                    && state.exit.as_ref().is_some_and(|exit| exit.code == exit_code) =>
            {
                state
            }
            _ => {
                let state = failed_state(exit_code, error);
                if let Err(error) = state.write(dir) {
                    warn!(container = &container.id[..12], %error, "cannot record a failed start");
                }
                state
            }
        };
        container.change(|live| {
            live.state = State::from_supervisor(&state, previous.as_ref());
            live.state.error = error.to_string();
            live.take_run(state);
        });
    }

    /// Watches a running container for its end, in the background.
    pub(crate) fn monitor(&self, container: &Arc<Container>) {
        let Some(task) = container.task() else { return };
        self.follow_health(container, Arc::clone(&task));
        let (engine, container) = (self.downgrade(), Arc::clone(container));
        tokio::spawn(async move {
            let exit = task.wait().await;
            let Some(engine) = Engine::upgrade(&engine) else {
                return;
            };
            let exit = exit.unwrap_or_else(|error| {
                warn!(container = &container.id[..12], %error, "cannot see how it ended");
                Exit::supervisor_died()
            });
            engine.container_ended(&container, exit).await;
        });
    }

    /// Takes notice of a container's end.
    pub(crate) async fn container_ended(&self, container: &Arc<Container>, exit: Exit) {
        let record = container.record();
        // Of one that was killed, this records the end.
        if let Ok(driver) = self.inner.drivers.named(&record.config.host.isolation)
            && let Err(error) = driver.recover(&container.dir)
        {
            warn!(container = record.short_id(), %error, "cannot record its end");
        }
        let left = supervisor::State::read(&container.dir).ok().flatten();
        container.end_streams();
        let restarting = container.restarting.load(std::sync::atomic::Ordering::Acquire);
        let finished =
            left.as_ref().and_then(|state| state.finished_at).unwrap_or_else(Timestamp::now);
        let started = container.live().state.started_at.unwrap_or(finished);
        self.inner.execs.container_ended(container);
        if exit.oom_killed {
            self.tell(container, "oom", &[]);
        }
        // Before the change, so that who waits for the end finds it in the past events.
        let lasted = finished.duration_since(started);
        self.tell(
            container,
            "die",
            &[
                ("execDuration", lasted.as_secs().max(0).to_string()),
                ("exitCode", exit.code.to_string()),
            ],
        );
        self.tell_networks(container, "disconnect");
        self.tell_mounts(container, "unmount");
        let delay = match restarting || self.is_shutting_down() {
            true => None,
            false => container.comes_back(exit.code, lasted.try_into().unwrap_or_default()),
        };
        container.change(|live| {
            live.state.status = match delay {
                Some(_) => Status::Restarting,
                None => Status::Exited,
            };
            live.state.pid = 0;
            live.state.exit_code = exit.code;
            live.state.oom_killed = exit.oom_killed;
            live.state.error = exit.error.clone().unwrap_or_default();
            live.state.finished_at = Some(finished);
            live.ends += 1;
            live.last_end.exit_code = exit.code;
            live.last_end.error = String::new();
            if let Some(left) = left {
                live.take_run(left);
            }
        });
        container.end_health();
        if let Some(delay) = delay {
            self.restart_later(container, delay);
        }
        if record.config.host.auto_remove && !restarting {
            self.remove_ended(container).await;
        }
    }

    /// Removes a container that asked for it (`--rm`) after its end.
    pub(crate) async fn remove_ended(&self, container: &Arc<Container>) {
        let options = RemoveOptions { force: true, volumes: true };
        if let Err(error) = self.remove_container(container, &container.id, options).await {
            // Someone else may be removing it.
            debug!(container = &container.id[..12], %error, "not removed at its end");
        }
    }
}

/// Why a container is started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Occasion {
    Asked,
    /// The engine has opened, and its restart policy wants it to run.
    Opened,
    /// It has ended, and its restart policy wants it to run.
    Policy,
    /// Somebody wants it to go on from there.
    From(StartFrom),
}

/// The failure of what needs to know what a container is.
pub(crate) fn damaged(container: &Container) -> Error {
    let why = container.damage.as_deref().unwrap_or("its record cannot be read");
    Error::Unavailable {
        message: format!("container {} is damaged: {why}", &container.id[..12]),
        hint: format!("remove it with `hull rm {}`", &container.id[..12]),
    }
}

/// Reads the state that the run before the last left, if there was one.
pub(crate) fn read_previous(dir: &Path) -> Option<supervisor::State> {
    let bytes = std::fs::read(dir.join(layout::container::PREVIOUS)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// What a supervisor would have left if it had got far enough to fail itself.
fn failed_state(exit_code: i32, error: &Error) -> supervisor::State {
    supervisor::State {
        status: supervisor::Status::Exited,
        supervisor_pid: 0,
        vmm_pid: None,
        guest_pid: None,
        started_at: None,
        finished_at: None,
        exit: Some(Exit {
            code: exit_code,
            signal: None,
            oom_killed: false,
            error: Some(error.to_string()),
        }),
        accelerator: None,
        guest_kernel: None,
        start: None,
        ports: Vec::new(),
        timings: supervisor::Timings::default(),
    }
}

/// A start that failed, in the words that Docker's clients show.
pub(super) fn start_error(error: ClientError) -> Error {
    match error {
        ClientError::Failed(failure) => {
            let exit_code = failure.exit_code();
            let message = match failure.code {
                FailureCode::NoProgram | FailureCode::NotExecutable => {
                    format!("{CREATE_FAILED}: {}: unknown", failure.message)
                }
                // Docker connects containers itself.
                FailureCode::Network => {
                    format!("failed to set up container networking: {}", failure.message)
                }
                // Docker looks users up itself, before it asks for a task.
                _ if failure.message.starts_with("unable to find ") => failure.message,
                _ => format!("failed to create task for container: {}", failure.message),
            };
            Error::Start { message, exit_code, hint: failure.hint }
        }
        error => Error::Start {
            message: format!("failed to create task for container: {}", one_line(&error)),
            exit_code: 128,
            hint: None,
        },
    }
}

/// What Docker's engine puts before the reason when a program cannot be executed.
const CREATE_FAILED: &str = "failed to create task for container: failed to create shim task: \
                             OCI runtime create failed: runc create failed: unable to start \
                             container process";
const PREDECESSOR_POLL: Duration = Duration::from_millis(10);
/// Polls before a supervisor that has nothing left to do is ended: five seconds.
const PREDECESSOR_POLLS: u32 = 500;
