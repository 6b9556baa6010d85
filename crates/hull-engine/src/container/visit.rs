//! Visits: the files of containers, whether they run or not.
//!
//! One that does not run has no machine that could read its disks. It is given one, which mounts
//! everything as for a start and executes nothing; it may come from the pool as any other. It stays
//! for a moment: who looks at one file often looks at the next. The container's gate is held while
//! its files are used, as dockerd holds its lock: a start waits.

use std::fmt;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tracing::warn;

use super::entry::Container;
use super::start::{damaged, start_error};
use crate::isolation::{Isolation, Launched, Task};
use crate::{Engine, Error, Result, layout};

/// A machine with the disks of a container that does not run. It ends with the value, or with the
/// engine.
pub(crate) struct Visit {
    /// Dropping it ends the machine.
    _launched: Box<dyn Launched>,
    task: Arc<dyn Task>,
    used: Instant,
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("task", &self.task).finish_non_exhaustive()
    }
}

/// Access to a container's files.
#[derive(Debug)]
pub(crate) struct Inside {
    engine: Engine,
    container: Arc<Container>,
    task: Arc<dyn Task>,
    /// Held where the container does not run.
    gate: Option<OwnedMutexGuard<()>>,
}

impl Inside {
    pub(crate) fn task(&self) -> Arc<dyn Task> {
        Arc::clone(&self.task)
    }

    pub(crate) fn container(&self) -> &Arc<Container> {
        &self.container
    }

    /// Whether the container does not run.
    pub(crate) fn is_visit(&self) -> bool {
        self.gate.is_some()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.gate.take().is_none() {
            return;
        }
        let (engine, container) = (self.engine.downgrade(), Arc::clone(&self.container));
        container.with_visit(|visit| {
            if let Some(visit) = visit {
                visit.used = Instant::now();
            }
        });
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            tokio::time::sleep(LINGER).await;
            let _gate = container.gate.lock().await;
            let idle = container.with_visit(|visit| {
                visit.as_ref().is_some_and(|visit| visit.used.elapsed() >= LINGER)
            });
            if let Some(engine) = Engine::upgrade(&engine).filter(|_| idle)
                && let Err(error) = engine.end_visit(&container).await
            {
                warn!(container = &container.id[..12], %error, "a visit does not end");
            }
        });
    }
}

impl Container {
    fn with_visit<T>(&self, use_it: impl FnOnce(&mut Option<Visit>) -> T) -> T {
        use_it(&mut self.visit.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn visit_dir(&self) -> PathBuf {
        self.dir.join(layout::container::VISIT)
    }
}

impl Engine {
    /// Returns access to the files of a container, which is given a machine if it has none.
    ///
    /// # Errors
    /// It is damaged or being removed, or the machine does not start.
    pub(crate) async fn inside(&self, container: &Arc<Container>) -> Result<Inside> {
        let access = |task, gate| Inside {
            engine: self.clone(),
            container: Arc::clone(container),
            task,
            gate,
        };
        if let Some(task) = running(container) {
            return Ok(access(task, None));
        }
        let gate = Arc::clone(&container.gate).lock_owned().await;
        // What has gone on while the gate was somebody else's.
        if let Some(task) = running(container) {
            return Ok(access(task, None));
        }
        if container.damage.is_some() {
            return Err(damaged(container));
        }
        let live = container.live();
        if live.removing || live.removed {
            return Err(Error::Conflict("container is marked for removal".into()));
        }
        let there = container.with_visit(|visit| visit.as_ref().map(|it| Arc::clone(&it.task)));
        if let Some(task) = there
            && task.status().await.is_ok()
        {
            return Ok(access(task, Some(gate)));
        }
        let task = self.begin_visit(container).await?;
        Ok(access(task, Some(gate)))
    }

    /// Starts a machine for a visit; the container's gate is held.
    async fn begin_visit(&self, container: &Arc<Container>) -> Result<Arc<dyn Task>> {
        let _busy = self.inner.pool.busy();
        let driver = self.driver_of(container)?;
        self.wait_for_predecessor(&container.dir, driver).await?;
        self.end_visit(container).await?;
        self.fill_volumes_before(container).await;
        let dir = container.visit_dir();
        let (engine, visited, place) = (self.clone(), Arc::clone(container), dir.clone());
        let launch = tokio::task::spawn_blocking(move || {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&place)
                .map_err(Error::file("make", &place))?;
            engine.prepare_visit(&place, &visited)
        })
        .await
        .map_err(|error| Error::internal("preparing a visit was interrupted", error))??;
        let mut launched = driver.launch(&dir, &launch).await.map_err(start_error)?;
        launched.created().await.map_err(start_error)?;
        let task = launched.task();
        let visit = Visit { _launched: launched, task: Arc::clone(&task), used: Instant::now() };
        container.with_visit(|slot| *slot = Some(visit));
        Ok(task)
    }

    /// Ends the visit of a container if there is one, also one that a daemon before this one has
    /// left; the container's gate is held.
    pub(super) async fn end_visit(&self, container: &Container) -> Result<()> {
        let dir = container.visit_dir();
        let visit = container.with_visit(Option::take);
        if visit.is_none() && !dir.exists() {
            return Ok(());
        }
        if let Some(visit) = &visit {
            // One that has ended already is as good.
            let _ = visit.task.destroy().await;
        }
        drop(visit);
        self.wait_for_predecessor(&dir, self.driver_of(container)?).await?;
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", &dir)(error))
            }
            _ => Ok(()),
        }
    }

    fn driver_of(&self, container: &Container) -> Result<&Arc<dyn Isolation>> {
        self.inner.drivers.named(&container.record().config.host.isolation)
    }
}

fn running(container: &Container) -> Option<Arc<dyn Task>> {
    container.task().filter(|_| container.is_running())
}

/// How long a machine stays when nobody uses it.
const LINGER: Duration = Duration::from_secs(2);
