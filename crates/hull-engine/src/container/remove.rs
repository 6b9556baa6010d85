//! Removal.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::entry::Container;
use super::kill::Killed;
use super::sockets;
use super::state::Status;
use crate::{Engine, Error, Result};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it if it runs.
    pub force: bool,
    /// Also its anonymous volumes, unless others use them.
    pub volumes: bool,
}

impl Engine {
    /// Removes a container with all its files.
    ///
    /// # Errors
    /// No such container; conflict if it runs and `force` is not set.
    pub async fn remove(&self, container: &str, options: RemoveOptions) -> Result<()> {
        let found = self.inner.containers.find(container)?;
        let given = container.to_owned();
        self.detached(move |engine| async move {
            engine.remove_container(&found, &given, options).await
        })
        .await
    }

    /// Removes `container`, which the caller calls `given`.
    pub(crate) async fn remove_container(
        &self,
        container: &Arc<Container>,
        given: &str,
        options: RemoveOptions,
    ) -> Result<()> {
        let begun = container.change(|live| !std::mem::replace(&mut live.removing, true));
        if !begun {
            return Err(Error::Conflict(format!(
                "removal of container {given} is already in progress"
            )));
        }
        let marked = Marked { container, done: false };
        // Waits for a start that is under way.
        let _gate = container.gate.lock().await;
        if container.live().removed {
            marked.keep();
            return Ok(());
        }
        self.end_for_removal(container, options.force)
            .await
            .map_err(|error| error.within(format!("cannot remove container {given:?}")))?;
        // What a visitor reads goes from under it, but its machine must not stay.
        if let Err(error) = self.end_visit(container).await {
            warn!(container = &container.id[..12], %error, "a visit does not end");
        }
        let doomed = self.inner.layout.tmp().join(format!("remove-{}", container.id));
        fs::rename(&container.dir, &doomed)
            .or_else(|error| match error.kind() {
                // Someone has removed it behind our back: it is gone, as asked.
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(Error::file("remove", &container.dir)(error)),
            })
            .map_err(|error| error.within(format!("cannot remove container {given:?}")))?;
        marked.keep();
        container.end_streams();
        sockets::remove_left(&container.record().config.host);
        self.inner.execs.forget(&container.id);
        self.inner.networks.release(&container.id);
        self.inner.containers.remove(&container.id);
        if options.volumes {
            self.remove_anonymous_volumes(&container.record()).await;
        }
        self.tell(container, "destroy", &[]);
        container.change(|live| live.removed = true);
        delete(&doomed).await;
        self.collect_after(&container.record().image.id).await;
        Ok(())
    }

    async fn end_for_removal(&self, container: &Arc<Container>, force: bool) -> Result<()> {
        let status = container.live().state.status;
        if !status.is_up() {
            return Ok(());
        }
        if !force {
            return Err(Error::Conflict(match status {
                Status::Paused => "container is paused and must be unpaused first".into(),
                _ => format!(
                    "container is {}: stop the container before removing or force remove",
                    status.as_str()
                ),
            }));
        }
        if container.cancel_restart() {
            return Ok(());
        }
        match self.kill_and_wait(container).await {
            Ok(Killed) | Err(Error::NotRunning(_)) => Ok(()),
            Err(error) => Err(error.within("could not kill container")),
        }
    }
}

/// Deletes a tree in `tmp/`; what is left of it goes when the engine opens next.
async fn delete(path: &Path) {
    let doomed = path.to_owned();
    let deleted = tokio::task::spawn_blocking(move || delete_now(&doomed)).await;
    match deleted {
        Ok(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
            warn!(path = %path.display(), %error, "cannot delete the files of a container");
        }
        _ => {}
    }
}

/// As [`delete`]. A supervisor that is about to end may still put a file there.
fn delete_now(path: &Path) -> io::Result<()> {
    for _ in 1..TRIES {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(PAUSE);
            }
            deleted => return deleted,
        }
    }
    fs::remove_dir_all(path)
}

/// A container that is marked for removal, unless the removal fails.
struct Marked<'a> {
    container: &'a Container,
    done: bool,
}

impl Marked<'_> {
    fn keep(mut self) {
        self.done = true;
    }
}

impl Drop for Marked<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.container.change(|live| live.removing = false);
        }
    }
}

/// How often, and how long between: a second in all.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);
