//! What a start prepares on disk: the writable disk and the supervisor's orders.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hull_plan::Plan;
use hull_supervisor::launch::{
    AcceleratorChoice, Disks, LogLaunch, MachineLaunch, StdioLaunch, StopLaunch,
};
use hull_supervisor::{Launch, paths};
use serde_json::value::to_raw_value;

use super::record::Record;
use crate::durable::{self, Survives};
use crate::layout;
use crate::{Engine, Error, Result, host, random};

impl Engine {
    /// Writes `launch.json` and makes the writable disk if there is none yet.
    pub(crate) fn prepare_launch(
        &self,
        dir: &Path,
        record: &Record,
        plan: &Plan,
    ) -> Result<Launch> {
        let image = self.root_disk_path(record)?;
        let scratch = dir.join(layout::container::SCRATCH);
        if !scratch.exists() {
            make_scratch(&scratch)?;
        }
        let launch = self.launch(dir, record, plan, image, scratch)?;
        set_previous_aside(dir)?;
        let path = dir.join(paths::LAUNCH);
        let json = serde_json::to_vec(&launch)
            .map_err(|error| Error::internal("cannot encode a launch", error))?;
        // Nobody reads it before the supervisor is started, and that comes after.
        durable::write(&path, &json, Survives::Kill).map_err(Error::file("write", &path))?;
        Ok(launch)
    }

    fn launch(
        &self,
        dir: &Path,
        record: &Record,
        plan: &Plan,
        image: PathBuf,
        scratch: PathBuf,
    ) -> Result<Launch> {
        let config = &record.config;
        let spec = to_raw_value(&plan.spec)
            .map_err(|error| Error::internal("cannot encode a specification", error))?;
        let kernel = match &config.host.kernel {
            Some(path) => PathBuf::from(path),
            None => self.kernel_path(),
        };
        Ok(Launch {
            container: record.id.clone(),
            machine: MachineLaunch {
                home: self.inner.layout.root().to_owned(),
                kernel,
                agent: self.agent_path(),
                arch: std::env::consts::ARCH.to_owned(),
                qemu: None,
                accelerator: AcceleratorChoice::Auto,
                probe_cache: self.inner.layout.probe_cache(),
                vcpus: plan.vm.vcpus,
                memory: memory_limit(config.host.memory),
            },
            disks: Disks { image, image_type: "erofs".into(), scratch: Some(scratch) },
            spec,
            user: plan.user.clone(),
            groups: plan.groups.clone(),
            files: plan.files.clone(),
            volumes: plan.volumes.clone(),
            init: plan.init,
            sysctls: Default::default(),
            stdio: StdioLaunch {
                tty: config.tty,
                open_stdin: config.open_stdin,
                stdin_once: config.stdin_once,
            },
            log: LogLaunch::JsonFile {
                path: log_path(dir, &record.id),
                max_size: None,
                max_file: 0,
            },
            stop: StopLaunch {
                signal: plan.stop_signal,
                timeout: config.stop_timeout.unwrap_or(self.inner.settings.stop_timeout),
            },
            discard: config.host.auto_remove,
        })
    }

    /// Returns the image's disk, which must be there: containers keep it alive.
    fn root_disk_path(&self, record: &Record) -> Result<PathBuf> {
        // Joining an absolute path yields that path.
        let path = self.inner.layout.root().join(&record.image.root.disk);
        if path.exists() {
            return Ok(path);
        }
        Err(Error::Internal {
            context: format!(
                "the root disk {} of image {} is missing",
                path.display(),
                record.image.id
            ),
            source: None,
        })
    }
}

/// Where a container's log is.
pub(crate) fn log_path(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}-json.log"))
}

/// Puts what the run before left aside, so that a start that fails early leaves no stale state.
fn set_previous_aside(dir: &Path) -> Result<()> {
    let state = dir.join(paths::STATE);
    // A run that never got to its program is no run to go back to.
    match hull_supervisor::State::read(dir) {
        Ok(Some(state)) if state.started_at.is_none() => return Ok(()),
        Ok(None) => return Ok(()),
        Ok(Some(_)) => {}
        Err(error) => return Err(Error::file("read", &state)(error)),
    }
    let previous = dir.join(layout::container::PREVIOUS);
    fs::rename(&state, &previous).map_err(Error::file("rename", &state))
}

fn make_scratch(path: &Path) -> Result<()> {
    let building = path.with_extension("new");
    let uuid = random::bytes()?;
    let made = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&building)
        .map_err(Error::file("make", &building))
        .and_then(|file| {
            let options = hull_ext4::Options::new(hull_ext4::Options::SCRATCH_SIZE, uuid);
            hull_ext4::format(&file, &options)
                .map_err(|error| Error::internal("cannot format a writable disk", error))
        })
        .and_then(|()| fs::rename(&building, path).map_err(Error::file("make", path)));
    if made.is_err() {
        match fs::remove_file(&building) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %building.display(), %error, "cannot remove a file");
            }
            _ => {}
        }
    }
    made
}

/// Memory limit of a container in bytes. One beyond the host's memory never binds, and the machine
/// need not be that large.
fn memory_limit(asked: i64) -> u64 {
    let default = hull_plan::DEFAULT_MEMORY.unsigned_abs();
    match u64::try_from(asked) {
        Ok(asked) if asked > 0 => asked.min(host::memory().max(default)),
        _ => default,
    }
}
