//! One container, as the engine holds it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hull_network::protocol::Publish;
use hull_supervisor::Origin;
use hull_supervisor::health::Health;
use tokio::sync::watch;

use super::record::Record;
use super::restart::Restart;
use super::state::{State, Timing};
use super::visit::Visit;
use super::wait::WaitStatus;
use crate::isolation::{Pipes, Task};
use crate::network::Attachments;

/// One container. Its files are the truth; this is what the running engine knows besides.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) dir: PathBuf,
    /// Why its record cannot be read, if that is so: it can be looked at and removed, no more.
    pub(crate) damage: Option<String>,
    record: RwLock<Arc<Record>>,
    /// Held while it is started, removed, renamed, frozen or thawed: one at a time.
    pub(crate) gate: Arc<tokio::sync::Mutex<()>>,
    live: watch::Sender<Live>,
    streams: Mutex<Streams>,
    attachments: Mutex<Attachments>,
    /// Execs that run.
    execs: Mutex<BTreeSet<String>>,
    /// Who reads and writes its files while it does not run; only touched with `gate` held.
    pub(crate) visit: Mutex<Option<Visit>>,
    /// A restart is under way: its end is not the end that `auto_remove` waits for.
    pub(crate) restarting: AtomicBool,
}

/// What changes while a container lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) state: State,
    /// What its checks have found, if there are any.
    pub(crate) health: Option<Health>,
    /// What decides whether it is started again.
    pub(crate) restart: Restart,
    /// Its removal has begun.
    pub(crate) removing: bool,
    /// It is gone.
    pub(crate) removed: bool,
    /// How often it has ended since this engine opened.
    pub(crate) ends: u64,
    /// How it ended last.
    pub(crate) last_end: WaitStatus,
    /// The engine's phases of the last start.
    pub(crate) engine_timings: Vec<Timing>,
    /// What the supervisor measured in the last run.
    pub(crate) supervisor_timings: hull_supervisor::Timings,
    /// Ports that are published while it runs.
    pub(crate) ports: Vec<Publish>,
    /// Where the machine of the last start came from, once that is known.
    pub(crate) origin: Option<Origin>,
    /// Has a supervisor been started since the container was made?
    pub(crate) has_started: bool,
}

/// Who gets the container's streams.
#[derive(Debug)]
enum Streams {
    /// It does not run: these wait for its start.
    Waiting(Vec<Pipes>),
    /// A supervisor serves clients itself.
    Served(Arc<dyn Task>),
}

impl Live {
    /// Takes over what a supervisor says of its run beside the container's state.
    pub(crate) fn take_run(&mut self, run: hull_supervisor::State) {
        self.supervisor_timings = run.timings;
        self.ports = run.ports;
        // Supervisors that were older than templates said nothing, and booted.
        let booted = Origin::cold(None);
        self.origin = run.start.or_else(|| run.started_at.map(|_| booted));
        self.has_started = true;
    }
}

impl Container {
    pub(crate) fn new(dir: PathBuf, record: Record, live: Live) -> Self {
        Self {
            id: record.id.clone(),
            attachments: Mutex::new(Attachments::read(&dir, &record.config)),
            dir,
            damage: None,
            record: RwLock::new(Arc::new(record)),
            gate: Arc::default(),
            live: watch::Sender::new(live),
            streams: Mutex::new(Streams::Waiting(Vec::new())),
            execs: Mutex::default(),
            visit: Mutex::default(),
            restarting: AtomicBool::new(false),
        }
    }

    pub(crate) fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_record(&self, record: Record) {
        *self.record.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(record);
    }

    /// Returns the container's networks.
    pub(crate) fn attachments(&self) -> Attachments {
        self.attachments.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_attachments(&self, attachments: Attachments) {
        *self.attachments.lock().unwrap_or_else(PoisonError::into_inner) = attachments;
    }

    /// Returns a copy of what is so now.
    pub(crate) fn live(&self) -> Live {
        self.live.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Live> {
        self.live.subscribe()
    }

    /// Changes what is so and tells all who watch; returns what `change` returns.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Live) -> T) -> T {
        let mut result = None;
        self.live.send_modify(|live| result = Some(change(live)));
        // `send_modify` calls its closure exactly once.
        #[expect(clippy::unwrap_used)]
        result.unwrap()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.live.borrow().state.status.is_running()
    }

    /// Leaves pipes to be connected at the next start; gives them back with the one that serves
    /// them if there is one.
    pub(crate) fn wait_for_streams(&self, pipes: Pipes) -> Option<(Arc<dyn Task>, Pipes)> {
        match &mut *self.streams() {
            Streams::Served(task) => Some((Arc::clone(task), pipes)),
            Streams::Waiting(waiting) => {
                waiting.retain(|pipes| !pipes.output.is_closed());
                waiting.push(pipes);
                None
            }
        }
    }

    /// From now on `task` serves clients; returns those who wait.
    pub(crate) fn serve_streams(&self, task: Arc<dyn Task>) -> Vec<Pipes> {
        match std::mem::replace(&mut *self.streams(), Streams::Served(task)) {
            Streams::Waiting(waiting) => waiting,
            Streams::Served(_) => Vec::new(),
        }
    }

    /// Nobody serves clients any more; those who wait are let go.
    pub(crate) fn end_streams(&self) {
        *self.streams() = Streams::Waiting(Vec::new());
    }

    /// Returns the one that runs the container, if it runs or is about to.
    pub(crate) fn task(&self) -> Option<Arc<dyn Task>> {
        match &*self.streams() {
            Streams::Served(task) => Some(Arc::clone(task)),
            Streams::Waiting(_) => None,
        }
    }

    pub(crate) fn execs(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
