//! What the engine does when it opens: it finds what the one before left, at whatever instruction
//! that was killed.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hull_supervisor::client::Liveness;
use hull_supervisor::health::Health;
use hull_supervisor::state as supervisor;
use tracing::{error, info, warn};

use crate::container::create::is_born;
use crate::container::entry::{Container, Live};
use crate::container::record::Record;
use crate::container::restart::Restart;
use crate::container::start::read_previous;
use crate::container::state::{State, Status};
use crate::error::one_line;
use crate::isolation::Task;
use crate::layout::Layout;
use crate::{Engine, Error, Result, host, layout};

/// Makes the directories that the engine needs.
pub(crate) fn prepare(layout: &Layout) -> Result<()> {
    for path in [layout.root().to_owned(), layout.containers(), layout.tmp()] {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&path).map_err(Error::file("make", &path))?;
    }
    Ok(())
}

/// Empties the engine's `tmp` and takes over all containers. The image store is open, so that no
/// other engine has this state directory.
pub(crate) async fn recover(engine: &Engine) -> Result<()> {
    empty(&engine.inner.layout.tmp())?;
    let all = engine.inner.layout.containers();
    let dirs = fs::read_dir(&all)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>())
        .map_err(Error::file("read", &all))?;
    let mut ended = Vec::new();
    for (dir, examined) in examine_all(engine, &dirs) {
        let container = examined.and_then(|examined| {
            examined.map(|examined| take_over(engine, dir, examined)).transpose()
        });
        match container {
            Ok(Some(container)) => {
                if !container.is_running() && container.task().is_none() {
                    ended.push(container);
                }
            }
            Ok(None) => {}
            // One damaged container must not keep the others away; its files are left alone.
            Err(error) => error!(dir = %dir.display(), %error, "cannot recover a container"),
        }
    }
    // Nobody waits for a fork any more.
    for container in ended.extract_if(.., |container| is_unborn(container)) {
        info!(container = container.record().short_id(), "removing: its fork was interrupted");
        engine.remove_ended(&container).await;
    }
    for container in &ended {
        let record = container.record();
        // One that was never started is about to be, by a client that is still there.
        if record.config.host.auto_remove && container.live().has_started {
            info!(container = record.short_id(), "removing: it has ended");
            engine.remove_ended(container).await;
        }
    }
    engine.restart_ended(ended);
    Ok(())
}

/// What the files of a container say.
struct Examined {
    record: Record,
    damage: Option<String>,
    live: Live,
    is_alive: bool,
}

/// Examines containers with all CPUs: the daemon answers nobody before it knows them.
fn examine_all<'a>(
    engine: &Engine,
    dirs: &'a [PathBuf],
) -> Vec<(&'a Path, Result<Option<Examined>>)> {
    let share = dirs.len().div_ceil(host::cpus() as usize).max(SMALL_SHARE);
    let examine_share = |dirs: &'a [PathBuf]| -> Vec<_> {
        dirs.iter().map(|dir| (dir.as_path(), examine(engine, dir))).collect()
    };
    std::thread::scope(|scope| {
        let mut shares = dirs.chunks(share);
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> =
            shares.map(|dirs| (dirs, scope.spawn(move || examine_share(dirs)))).collect();
        let mut all = examine_share(own);
        for (dirs, other) in others {
            // One that panicked is done again here, where a panic is seen.
            all.extend(other.join().unwrap_or_else(|_| examine_share(dirs)));
        }
        all
    })
}

/// Reads what the files in `dir` say, and records the end of a container that nobody saw; `None` if
/// there is none worth keeping.
fn examine(engine: &Engine, dir: &Path) -> Result<Option<Examined>> {
    let (record, damage) = match Record::read(dir) {
        Ok(Some(record)) => (record, None),
        Ok(None) => {
            // A power cut took what was not worth a sync.
            warn!(dir = %dir.display(), "removing a container without a configuration");
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            let doomed = engine.inner.layout.tmp().join(format!("remove-{name}"));
            fs::rename(dir, &doomed).map_err(Error::file("remove", dir))?;
            fs::remove_dir_all(&doomed).map_err(Error::file("remove", &doomed))?;
            return Ok(None);
        }
        Err(error) => match Record::stand_in(dir) {
            Some(record) => {
                let damage = one_line(&error);
                error!(container = record.short_id(), "listed as dead: {damage}");
                (record, Some(damage))
            }
            None => return Err(error),
        },
    };
    let driver = engine.inner.drivers.named(&record.config.host.isolation)?;
    let found =
        driver.recover(dir).map_err(Error::supervisor("cannot tell whether the container runs"))?;
    let on_disk = match &found {
        Liveness::Alive => supervisor::State::read(dir).ok().flatten(),
        Liveness::Dead(state) => state.clone(),
    };
    let previous = read_previous(dir);
    let health = Health::read(dir).unwrap_or_else(|error| {
        warn!(container = record.short_id(), %error, "cannot read what its checks have found");
        None
    });
    let mut live = Live { restart: Restart::read(dir), health, ..Live::default() };
    // With nothing of the last run, the run before it is what there is to say.
    if let Some(state) = on_disk.as_ref().or(previous.as_ref()) {
        live.state = State::from_supervisor(state, previous.as_ref());
        live.take_run(state.clone());
    }
    if found == Liveness::Alive && !live.state.status.is_running() {
        live.state.pid = 0;
    }
    if let (Some(damage), false) = (&damage, live.state.status.is_running()) {
        live.state.status = Status::Dead;
        live.state.error.clone_from(damage);
    }
    Ok(Some(Examined { record, damage, live, is_alive: found == Liveness::Alive }))
}

/// Puts a container that has been examined into the list, and connects to its supervisor.
fn take_over(engine: &Engine, dir: &Path, examined: Examined) -> Result<Arc<Container>> {
    let Examined { record, damage, live, is_alive } = examined;
    let driver = engine.inner.drivers.named(&record.config.host.isolation)?;
    engine.inner.containers.reserve(&record.name, &record.id)?;
    let mut container = Container::new(dir.to_owned(), record, live);
    container.damage = damage;
    let container = Arc::new(container);
    engine.inner.networks.adopt(&container);
    engine.inner.containers.insert(Arc::clone(&container));
    if is_alive {
        let task = driver.task(dir);
        container.serve_streams(Arc::clone(&task));
        adopt(engine, &container, task);
    }
    Ok(container)
}

/// Takes over a container whose supervisor lives. One that has not executed its program is given
/// the time to do so if it has been told to, or to end because its engine is gone.
fn adopt(engine: &Engine, container: &Arc<Container>, task: Arc<dyn Task>) {
    if container.is_running() {
        is_born(container);
        engine.monitor(container);
        return;
    }
    let Ok(gate) = Arc::clone(&container.gate).try_lock_owned() else {
        // The gate is free: nobody has the engine yet.
        return;
    };
    let (engine, container) = (engine.clone(), Arc::clone(container));
    tokio::spawn(async move {
        for _ in 0..ADOPTION_POLLS {
            match task.status().await {
                Ok(state)
                    if matches!(
                        state.status,
                        supervisor::Status::Running | supervisor::Status::Paused
                    ) =>
                {
                    container.change(|live| {
                        live.state = State::from_supervisor(&state, None);
                        live.take_run(state);
                    });
                    is_born(&container);
                    engine.monitor(&container);
                    drop(gate);
                    return;
                }
                Ok(_) => tokio::time::sleep(ADOPTION_POLL).await,
                Err(_) => break,
            }
        }
        if let Err(error) = task.destroy().await {
            warn!(container = &container.id[..12], %error, "cannot end a start that was given up");
        }
        container.end_streams();
        let left = supervisor::State::read(&container.dir).ok().flatten();
        if let Some(state) = left {
            let previous = read_previous(&container.dir);
            container.change(|live| {
                live.state = State::from_supervisor(&state, previous.as_ref());
            });
        }
        drop(gate);
        if container.record().config.host.auto_remove || is_unborn(&container) {
            engine.remove_ended(&container).await;
        }
    });
}

/// Whether a container was to be there only if it was started, and never was.
fn is_unborn(container: &Container) -> bool {
    let has_run = || {
        let state = supervisor::State::read(&container.dir).ok().flatten();
        state.is_some_and(|state| state.started_at.is_some())
    };
    container.dir.join(layout::container::UNBORN).exists() && !has_run()
}

/// Deletes everything in a directory.
fn empty(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).map_err(Error::file("read", path))? {
        let entry = entry.map_err(Error::file("read", path))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::file("read", &path))?;
        let removed = match kind.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Containers that are examined sooner than a thread is started.
const SMALL_SHARE: usize = 16;
const ADOPTION_POLL: Duration = Duration::from_millis(50);
/// Polls before a start that neither goes on nor ends is given up: two minutes.
const ADOPTION_POLLS: u32 = if cfg!(test) { 20 } else { 2400 };
