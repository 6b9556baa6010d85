//! What all tasks of a supervisor share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hull_guest::Guest;
use hull_protocol::{ExitStatus, Request, Target};
use jiff::Timestamp;
use tokio::sync::{Notify, oneshot, watch};

use crate::control::{Exit, Failure, FailureCode};
use crate::health::Health;
use crate::launch::Launch;
use crate::state::{State, Status, Timings};

use super::hub::Hub;
use super::offspring::Wanted;
use super::rewire::Changes;
use super::stdin::Stdin;

#[derive(Debug)]
pub(super) struct Context {
    dir: PathBuf,
    pub(super) launch: Launch,
    begin: Instant,
    state: Mutex<State>,
    /// The guest, once the container is created in it.
    guest: watch::Sender<Option<Guest>>,
    /// Set when the init process has ended.
    process: watch::Sender<Option<Exit>>,
    /// Set when the machine has ended and the state is on disk.
    record: watch::Sender<Option<Exit>>,
    /// What checks have found, once there is one.
    pub(super) health: watch::Sender<Option<Health>>,
    execs: Mutex<HashMap<String, oneshot::Sender<ExitStatus>>>,
    pub(super) hub: Hub,
    pub(super) stdin: Stdin,
    pub(super) rewiring: Changes,
    /// Somebody wants the machine gone at once.
    pub(super) destroy: Notify,
    /// Copies of the machine that somebody wants.
    copies: Mutex<Vec<Wanted>>,
    copies_changed: Notify,
    /// How many clients read or write the container's files.
    transfers: watch::Sender<usize>,
}

/// Files on their way, which the end of the container waits for a little.
#[derive(Debug)]
pub(super) struct Transfer<'a>(&'a watch::Sender<usize>);

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|transfers| *transfers -= 1);
    }
}

impl Context {
    pub(super) fn new(dir: &Path, launch: Launch) -> Self {
        let state = State {
            status: Status::Starting,
            supervisor_pid: std::process::id(),
            vmm_pid: None,
            guest_pid: None,
            started_at: None,
            finished_at: None,
            exit: None,
            accelerator: None,
            guest_kernel: None,
            start: None,
            ports: Vec::new(),
            timings: Timings { entered_at: Some(Timestamp::now()), ..Timings::default() },
        };
        Self {
            dir: dir.to_owned(),
            stdin: Stdin::new(launch.stdio.open_stdin),
            launch,
            begin: Instant::now(),
            state: Mutex::new(state),
            guest: watch::Sender::new(None),
            process: watch::Sender::new(None),
            record: watch::Sender::new(None),
            health: watch::Sender::new(None),
            execs: Mutex::default(),
            hub: Hub::default(),
            rewiring: Changes::default(),
            destroy: Notify::new(),
            copies: Mutex::default(),
            copies_changed: Notify::new(),
            transfers: watch::Sender::new(0),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns microseconds since the supervisor was entered.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Notes when a phase was over; the first time counts.
    pub(super) fn mark(&self, phase: impl FnOnce(&mut Timings) -> &mut Option<u64>) {
        let now = self.now();
        phase(&mut self.lock_state().timings).get_or_insert(now);
    }

    /// Returns the state as it is now.
    pub(super) fn state(&self) -> State {
        self.lock_state().clone()
    }

    /// Changes the state, in memory only.
    pub(super) fn note(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock_state());
    }

    /// Changes the state and writes it to disk.
    pub(super) fn update(&self, change: impl FnOnce(&mut State)) -> std::io::Result<()> {
        let state = {
            let mut state = self.lock_state();
            change(&mut state);
            state.clone()
        };
        state.write(&self.dir)
    }

    /// Returns the guest with the running container, or the one that waits beside a visitor.
    ///
    /// # Errors
    /// [`FailureCode::NotRunning`].
    pub(super) fn guest(&self) -> Result<Guest, Failure> {
        let status = self.lock_state().status;
        let running = matches!(status, Status::Running | Status::Paused) || self.launch.visit;
        let guest = self.guest.borrow().clone();
        match guest {
            Some(guest) if running && self.process.borrow().is_none() => Ok(guest),
            _ => Err(Failure::new(
                FailureCode::NotRunning,
                format!("container {} is not running", self.launch.container),
            )),
        }
    }

    /// Returns the guest to read or write files, as [`Context::guest`] does.
    pub(super) fn guest_for_transfer(&self) -> Result<(Guest, Transfer<'_>), Failure> {
        self.transfers.send_modify(|transfers| *transfers += 1);
        let transfer = Transfer(&self.transfers);
        Ok((self.guest()?, transfer))
    }

    /// Waits until nobody reads or writes the container's files.
    pub(super) async fn transferred(&self) {
        // The sender lives as long as this does.
        let _ = self.transfers.subscribe().wait_for(|transfers| *transfers == 0).await;
    }

    pub(super) fn set_guest(&self, guest: Guest) {
        self.guest.send_replace(Some(guest));
    }

    /// Lets go of the guest, so that its channel closes with its last user.
    pub(super) fn clear_guest(&self) {
        self.guest.send_replace(None);
    }

    /// Notes how the init process has ended; the first time counts.
    pub(super) fn set_exit(&self, exit: &Exit) {
        self.process.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(exit.clone());
            }
            first
        });
    }

    /// Lets all who wait for the container's end go on.
    pub(super) fn set_record(&self, exit: &Exit) {
        self.record.send_replace(Some(exit.clone()));
    }

    /// Waits until the init process has ended.
    pub(super) async fn exited(&self) -> Exit {
        wait_for(&self.process).await
    }

    /// Waits until the container's end is on disk and its machine gone.
    pub(super) async fn recorded(&self) -> Exit {
        wait_for(&self.record).await
    }

    /// Returns the target of requests about the init process or an exec.
    pub(super) fn target(&self, exec: Option<String>) -> Target {
        Target { container: self.launch.container.clone(), exec }
    }

    /// Sends a signal to the init process. A frozen one is thawed to take it, as Docker does.
    pub(super) async fn signal_init(&self, signal: i32) -> Result<(), Failure> {
        let guest = self.guest()?;
        let sent = guest.send(&Request::Signal { target: self.target(None), signal, all: false });
        let resumed = (self.lock_state().status == Status::Paused)
            .then(|| guest.send(&Request::Resume { container: self.launch.container.clone() }));
        sent.done().await.map_err(failure)?;
        if let Some(resumed) = resumed {
            resumed.done().await.map_err(failure)?;
            self.update(|state| state.status = Status::Running)
                .map_err(|error| Failure::new(FailureCode::Failed, error.to_string()))?;
        }
        Ok(())
    }

    /// Asks whoever has the machine for a copy of it.
    pub(super) fn ask_for_copy(&self, wanted: Wanted) {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner).push(wanted);
        self.copies_changed.notify_one();
    }

    /// Waits until somebody wants a copy of the machine.
    pub(super) async fn copy_wanted(&self) -> Wanted {
        loop {
            let next = self.copies.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match next {
                Some(wanted) => return wanted,
                None => self.copies_changed.notified().await,
            }
        }
    }

    /// Registers an exec; its exit comes to the receiver. `None`: the name is taken.
    pub(super) fn register_exec(&self, name: &str) -> Option<oneshot::Receiver<ExitStatus>> {
        let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        if execs.contains_key(name) {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        execs.insert(name.to_owned(), sender);
        Some(receiver)
    }

    /// Forgets an exec, telling how it has ended if it has.
    pub(super) fn end_exec(&self, name: &str, status: Option<ExitStatus>) {
        let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(sender), Some(status)) = (execs.remove(name), status) {
            // Nobody may be interested.
            let _ = sender.send(status);
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a guest's refusal or a broken channel in words for the client.
pub(super) fn failure(error: hull_guest::RequestError) -> Failure {
    match error {
        hull_guest::RequestError::Rpc(error) => error.into(),
        other => Failure::new(FailureCode::Failed, chain(&other)),
    }
}

/// Returns an error and its sources in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

async fn wait_for(sender: &watch::Sender<Option<Exit>>) -> Exit {
    let mut receiver = sender.subscribe();
    match receiver.wait_for(Option::is_some).await {
        Ok(exit) => exit.clone().unwrap_or_default(),
        // The sender lives in the context, which the caller holds.
        Err(_) => std::future::pending().await,
    }
}
