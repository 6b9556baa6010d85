//! A driver whose machines are tasks of the test, with the files that a supervisor leaves.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hull_protocol::{Part, Process, Stat, Statistics};
use hull_supervisor::client::{self, ClientError, CopyIn, CopyOut, Liveness};
use hull_supervisor::control::{self, Attach, Exec};
use hull_supervisor::health::{Health, HealthStatus};
use hull_supervisor::launch::InterfaceLaunch;
use hull_supervisor::{Exit, Failure, FailureCode, Launch, State, Status, Timings};
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};

use crate::isolation::{ExecTask, InputMessage, Isolation, Launched, Pipes, Task};
use crate::{Channel, Chunk};

/// What machines do.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// Why the program cannot be executed.
    pub(super) refuse: Option<Failure>,
    /// The program ends at once.
    pub(super) exit: Option<i32>,
    /// Signals other than SIGKILL do nothing.
    pub(super) stubborn: bool,
    /// No signal does anything.
    pub(super) deaf: bool,
}

/// The driver; clones share the machines.
#[derive(Clone, Debug, Default)]
pub(super) struct Fake {
    machines: Arc<Mutex<HashMap<PathBuf, Machine>>>,
    script: Arc<Mutex<Script>>,
    pub(super) last_launch: Arc<Mutex<Option<serde_json::Value>>>,
    pub(super) last_exec: Arc<Mutex<Option<serde_json::Value>>>,
}

impl Fake {
    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Puts a machine there that another engine has started.
    pub(super) fn plant(&self, dir: &Path, status: Status) -> Machine {
        let machine = Machine::new(dir.to_owned(), self.clone());
        machine.set(status, None);
        self.machines.lock().unwrap().insert(dir.to_owned(), machine.clone());
        machine
    }

    pub(super) fn machine(&self, dir: &Path) -> Machine {
        self.machines.lock().unwrap()[dir].clone()
    }

    pub(super) fn running(&self) -> usize {
        self.machines.lock().unwrap().len()
    }
}

impl Isolation for Fake {
    fn launch<'a>(
        &'a self,
        dir: &'a Path,
        launch: &'a Launch,
    ) -> BoxFuture<'a, Result<Box<dyn Launched>, ClientError>> {
        *self.last_launch.lock().unwrap() = Some(serde_json::to_value(launch).unwrap());
        let machine = self.plant(dir, Status::Starting);
        async move { Ok(Box::new(machine) as Box<dyn Launched>) }.boxed()
    }

    fn task(&self, dir: &Path) -> Arc<dyn Task> {
        Arc::new(self.machine(dir))
    }

    fn recover(&self, dir: &Path) -> Result<Liveness, ClientError> {
        match self.machines.lock().unwrap().contains_key(dir) {
            true => Ok(Liveness::Alive),
            false => client::recover(dir),
        }
    }
}

/// A machine that runs nothing: input comes back as output.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    dir: PathBuf,
    fake: Fake,
    exit: watch::Sender<Option<Exit>>,
}

impl Machine {
    fn new(dir: PathBuf, fake: Fake) -> Self {
        Self { dir, fake, exit: watch::Sender::new(None) }
    }

    /// Ends the machine in an orderly way.
    pub(super) fn end(&self, code: i32) {
        let exit = Exit { code, ..Exit::default() };
        self.set(Status::Exited, Some(exit.clone()));
        self.fake.machines.lock().unwrap().remove(&self.dir);
        self.exit.send_replace(Some(exit));
    }

    /// Ends the machine as `kill -9` of its supervisor does.
    pub(super) fn vanish(&self) {
        self.fake.machines.lock().unwrap().remove(&self.dir);
        self.exit.send_replace(Some(Exit::supervisor_died()));
    }

    pub(super) fn set(&self, status: Status, exit: Option<Exit>) -> State {
        let now = Some(Timestamp::now());
        let before = State::read(&self.dir).ok().flatten();
        let state = State {
            status,
            supervisor_pid: 1,
            vmm_pid: Some(42),
            guest_pid: None,
            started_at: match status {
                Status::Starting => None,
                Status::Exited => before.and_then(|before| before.started_at),
                _ => now,
            },
            finished_at: now.filter(|_| exit.is_some()),
            exit,
            accelerator: Some("tcg".into()),
            guest_kernel: None,
            start: None,
            ports: Vec::new(),
            timings: Timings::default(),
        };
        // The directory may have been removed.
        state.write(&self.dir).ok();
        state
    }
}

impl Launched for Machine {
    fn task(&self) -> Arc<dyn Task> {
        Arc::new(self.clone())
    }

    fn created(&mut self) -> BoxFuture<'_, Result<(), ClientError>> {
        async { Ok(()) }.boxed()
    }

    fn execute(self: Box<Self>) -> BoxFuture<'static, Result<State, ClientError>> {
        async move {
            let script = self.fake.script().clone();
            if let Some(failure) = script.refuse {
                let exit = Exit {
                    code: failure.exit_code(),
                    error: Some(failure.message.clone()),
                    ..Exit::default()
                };
                self.set(Status::Exited, Some(exit));
                self.fake.machines.lock().unwrap().remove(&self.dir);
                return Err(failure.into());
            }
            let state = self.set(Status::Running, None);
            if let Some(code) = script.exit {
                self.end(code);
            }
            Ok(state)
        }
        .boxed()
    }
}

impl Task for Machine {
    fn status(&self) -> BoxFuture<'_, Result<State, ClientError>> {
        async move {
            match self.exit.borrow().is_some() {
                true => Err(ClientError::Gone),
                false => Ok(State::read(&self.dir)?.unwrap()),
            }
        }
        .boxed()
    }

    fn attach(&self, pipes: Pipes) -> BoxFuture<'_, Result<(), ClientError>> {
        let exit = self.exit.subscribe();
        tokio::spawn(echo(pipes, exit));
        async { Ok(()) }.boxed()
    }

    fn exec(&self, exec: Exec, pipes: Pipes) -> BoxFuture<'_, Result<ExecTask, ClientError>> {
        let refuse = self.fake.script().refuse.clone();
        *self.fake.last_exec.lock().unwrap() = Some(serde_json::to_value(&exec).unwrap());
        let gone = self.exit.subscribe();
        async move {
            if let Some(failure) = refuse {
                return Err(failure.into());
            }
            let (sender, receiver) = oneshot::channel();
            tokio::spawn(async move {
                echo(pipes, gone).await;
                let exit = Exit { code: 5, ..Exit::default() };
                sender.send(exit).ok();
            });
            Ok(ExecTask { pid: 9, exit: receiver })
        }
        .boxed()
    }

    fn signal<'a>(
        &'a self,
        _: Option<&'a str>,
        signal: i32,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        async move {
            if self.exit.borrow().is_some() {
                let failure = Failure::new(FailureCode::NotRunning, "it has ended");
                return Err(failure.into());
            }
            let script = self.fake.script().clone();
            if !script.deaf && (signal == 9 || !script.stubborn) {
                self.end(128 + signal);
            }
            Ok(())
        }
        .boxed()
    }

    fn resize<'a>(
        &'a self,
        _: Option<&'a str>,
        _: u16,
        _: u16,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        async { Ok(()) }.boxed()
    }

    fn wait(&self) -> BoxFuture<'_, Result<Exit, ClientError>> {
        async move {
            let mut exit = self.exit.subscribe();
            let exit = exit.wait_for(Option::is_some).await;
            Ok(exit.map_err(|_| ClientError::Gone)?.clone().unwrap())
        }
        .boxed()
    }

    fn settle(&self, _: control::Settle) -> BoxFuture<'_, Result<(), ClientError>> {
        async { Ok(()) }.boxed()
    }

    fn connect(&self, _: InterfaceLaunch) -> BoxFuture<'_, Result<(), ClientError>> {
        async { Ok(()) }.boxed()
    }

    fn disconnect(&self, _: String, _: String) -> BoxFuture<'_, Result<(), ClientError>> {
        async { Ok(()) }.boxed()
    }

    fn pause(&self) -> BoxFuture<'_, Result<(), ClientError>> {
        async { Ok(()) }.boxed()
    }

    fn resume(&self) -> BoxFuture<'_, Result<(), ClientError>> {
        async { Ok(()) }.boxed()
    }

    fn update(&self, resources: Box<RawValue>) -> BoxFuture<'_, Result<(), ClientError>> {
        *self.fake.last_exec.lock().unwrap() = serde_json::from_str(resources.get()).ok();
        async { Ok(()) }.boxed()
    }

    fn statistics(&self) -> BoxFuture<'_, Result<Statistics, ClientError>> {
        async { Ok(Statistics::default()) }.boxed()
    }

    fn health(&self, seen: u64) -> BoxFuture<'_, Result<Health, ClientError>> {
        async move {
            if seen == 0 {
                return Ok(Health {
                    status: HealthStatus::Healthy,
                    serial: 1,
                    ..Health::default()
                });
            }
            self.wait().await?;
            Err(ClientError::Gone)
        }
        .boxed()
    }

    fn processes(&self) -> BoxFuture<'_, Result<Vec<Process>, ClientError>> {
        async { Ok(vec![Process::default()]) }.boxed()
    }

    fn stat<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Stat, ClientError>> {
        async move { Ok(Stat { name: path.into(), ..Stat::default() }) }.boxed()
    }

    fn copy_in(&self, _: control::CopyIn) -> BoxFuture<'_, Result<CopyIn, ClientError>> {
        async { Err(ClientError::Gone) }.boxed()
    }

    fn copy_out(&self, _: Part) -> BoxFuture<'_, Result<CopyOut, ClientError>> {
        async { Err(ClientError::Gone) }.boxed()
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), ClientError>> {
        async { Ok(()) }.boxed()
    }

    fn destroy(&self) -> BoxFuture<'_, Result<Exit, ClientError>> {
        self.end(137);
        self.wait()
    }
}

/// Says `hello`, sends input back until it ends, and lets go when the machine ends.
async fn echo(pipes: Pipes, mut exit: watch::Receiver<Option<Exit>>) {
    let Pipes { wanted: Attach { stdout, .. }, input, output } = pipes;
    let say = async |data: Bytes| {
        let channel = Channel::Stdout;
        if stdout {
            output.send(Chunk { channel, data }).await.ok();
        }
    };
    let talk = async {
        say(Bytes::from_static(b"hello")).await;
        match input {
            Some(mut input) => {
                while let Some(InputMessage::Data(data)) = input.recv().await {
                    say(data).await;
                }
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // Output comes before the end.
        biased;
        () = talk => {}
        _ = exit.wait_for(Option::is_some) => {}
    }
}
