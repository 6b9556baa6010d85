//! Checkpoints: a running container on disk, to go on from there one day.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use hull_plan::MountKind;
use hull_supervisor::client::Client;
use hull_supervisor::launch::StartFrom;

use super::entry::{Container, Live};
use super::record::Record;
use super::start::Occasion;
use super::state::Status;
use super::timings::Stopwatch;
use crate::{Engine, Error, Result, durable, layout};

/// What to write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckpointOptions {
    pub name: String,
    /// The container runs on; else it ends when the checkpoint is on disk.
    pub leave_running: bool,
    /// Where the checkpoint is kept instead of in the container's directory, an absolute path.
    pub dir: Option<PathBuf>,
}

impl Engine {
    /// Writes a running container, as it is at one moment, to disk: memory, processes, devices and
    /// its file system. It survives a reboot of the host.
    ///
    /// # Errors
    /// No such container; it does not run, or is paused; its machine cannot be copied; the name is
    /// in use or is none; the disk is full. Nothing is left behind then, and the container runs on.
    pub async fn create_checkpoint(
        &self,
        container: &str,
        options: CheckpointOptions,
    ) -> Result<()> {
        let container = self.inner.containers.find(container)?;
        let place = place(&container, options.dir.as_deref(), &options.name)?;
        self.detached(move |engine| async move {
            let gate = container.gate.lock().await;
            if !container.is_running() {
                return Err(Error::Conflict(format!("Container {} not running", container.id)));
            }
            if place.exists() {
                return Err(Error::Conflict(format!(
                    "checkpoint with name {} already exists for container {}",
                    options.name,
                    container.record().name
                )));
            }
            let building = place.with_file_name(format!(".{}.new", options.name));
            remove(&building)?;
            let make = fs::DirBuilder::new().recursive(true).mode(0o700).create(&building);
            make.map_err(Error::file("make", &building))?;
            let attachments = container.attachments().clone();
            let client = Client::new(&container.dir);
            let kept = async {
                attachments.save(&building)?;
                let saved = client.checkpoint(&building, options.leave_running).await;
                saved.map_err(Error::supervisor("cannot save the container"))?;
                fs::rename(&building, &place).map_err(Error::file("rename", &building))?;
                let all = place.parent().unwrap_or(&place);
                durable::sync_directory(all).map_err(Error::file("sync", all))
            };
            let kept = kept.await;
            if kept.is_err() {
                // What cannot be removed now is when a checkpoint of this name is made next.
                let _ = remove(&building);
            }
            kept?;
            engine.tell(&container, "checkpoint", &[]);
            drop(gate);
            if !options.leave_running {
                let ended = |live: &Live| live.state.status != Status::Running;
                // Fails only if the container is forgotten.
                let _ = container.watch().wait_for(ended).await;
            }
            Ok(())
        })
        .await
    }

    /// Returns the names of a container's checkpoints, in `dir` if they are not in its own
    /// directory, in alphabetical order.
    ///
    /// # Errors
    /// No such container; the directory cannot be read.
    pub async fn checkpoints(&self, container: &str, dir: Option<&Path>) -> Result<Vec<String>> {
        let container = self.inner.containers.find(container)?;
        let all = home(&container, dir);
        let entries = match fs::read_dir(&all) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("read", &all)(error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| is_name(name)).collect();
        names.sort();
        Ok(names)
    }

    /// Removes a checkpoint.
    ///
    /// # Errors
    /// No such container or checkpoint; it cannot be removed.
    pub async fn remove_checkpoint(
        &self,
        container: &str,
        name: &str,
        dir: Option<&Path>,
    ) -> Result<()> {
        let container = self.inner.containers.find(container)?;
        let place = self.find_checkpoint(&container, name, dir)?;
        // Gone at once, whatever happens in the middle.
        let leaving = place.with_file_name(format!(".{name}.old"));
        remove(&leaving)?;
        fs::rename(&place, &leaving).map_err(Error::file("rename", &place))?;
        remove(&leaving)
    }

    /// Starts a container that does not run as it was when a checkpoint was made, with the file
    /// system that it had then. Volumes and bind mounts are as they are now.
    ///
    /// # Errors
    /// No such container or checkpoint; as [`Engine::start`]; the checkpoint was made by another
    /// QEMU or agent, or is damaged; a bind mount's source has gone. The container is as it was before then.
    pub async fn start_from_checkpoint(
        &self,
        container: &str,
        name: &str,
        dir: Option<&Path>,
    ) -> Result<()> {
        let watch = Stopwatch::start();
        let container = self.inner.containers.find(container)?;
        let place = self.find_checkpoint(&container, name, dir)?;
        let name = name.to_owned();
        self.detached(move |engine| async move {
            check_mounts(&container.record(), &name)?;
            let network = engine.inner.settings.supervisor.clone();
            let from = StartFrom::Checkpoint { dir: place, network };
            let occasion = Occasion::From(from);
            engine.start_container(&container, watch, occasion).await
        })
        .await
    }

    fn find_checkpoint(
        &self,
        container: &Container,
        name: &str,
        dir: Option<&Path>,
    ) -> Result<PathBuf> {
        let place = place(container, dir, name)?;
        match place.is_dir() {
            true => Ok(place),
            false => Err(Error::NotFound(format!(
                "checkpoint {name} does not exist for container {}",
                container.record().name
            ))),
        }
    }
}

/// Returns where a container's checkpoints are.
fn home(container: &Container, dir: Option<&Path>) -> PathBuf {
    dir.map_or_else(|| container.dir.join(layout::container::CHECKPOINTS), Path::to_owned)
}

fn place(container: &Container, dir: Option<&Path>, name: &str) -> Result<PathBuf> {
    if !is_name(name) {
        return Err(Error::InvalidParameter(format!(
            "Invalid checkpoint ID ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )));
    }
    if let Some(dir) = dir.filter(|dir| !dir.is_absolute()) {
        return Err(Error::InvalidParameter(format!(
            "the directory of checkpoints must be absolute: {}",
            dir.display()
        )));
    }
    Ok(home(container, dir).join(name))
}

/// Refuses to start without what is mounted: a directory that is made for the start has nothing of
/// what the container had open.
fn check_mounts(record: &Record, checkpoint: &str) -> Result<()> {
    let binds = record.config.mount_points.iter().filter(|point| point.kind == MountKind::Bind);
    match binds.into_iter().find(|point| !Path::new(&point.source).exists()) {
        None => Ok(()),
        Some(point) => Err(Error::InvalidParameter(format!(
            "cannot start from checkpoint {checkpoint}: bind source path does not exist: {} \
             (mounted at {})",
            point.source, point.destination
        ))),
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() <= 128
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove", dir)(error))
        }
        _ => Ok(()),
    }
}
