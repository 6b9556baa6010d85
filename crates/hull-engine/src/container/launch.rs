//! What a start prepares on disk: the supervisor's orders.

use std::fs;
use std::path::{Path, PathBuf};

use hull_plan::{
    ContainerConfig, Host, HostConfig, ImageConfig, LogDriver, LogFacts, LogPlan, MountKind,
    MountPoint, Plan, VmSize,
};
use hull_supervisor::launch::{
    AcceleratorChoice, Disks, LogFileLaunch, LogLaunch, MachineLaunch, NetworkLaunch,
    RehearsalLaunch, StartFrom, StdioLaunch, StopLaunch, TemplatesLaunch,
};
use hull_supervisor::{Launch, paths};
use serde_json::value::to_raw_value;

use super::entry::Container;
use super::record::Record;
use crate::durable::{self, Survives};
use crate::layout;
use crate::volume::parse_size;
use crate::{Engine, Error, Result, host};

impl Engine {
    /// Writes `launch.json`.
    pub(crate) fn prepare_launch(
        &self,
        dir: &Path,
        record: &Record,
        plan: &Plan,
        from: Option<StartFrom>,
        network: Option<NetworkLaunch>,
    ) -> Result<Launch> {
        let image = self.root_disk_path(record)?;
        let scratch = dir.join(layout::container::SCRATCH);
        let is_new = !scratch.exists();
        if from.is_none() {
            make_limited_disk(&scratch, &record.config.host)?;
        }
        let launch =
            Launch { from, network, ..self.launch(dir, record, plan, (image, scratch), is_new)? };
        set_previous_aside(dir)?;
        write_launch(dir, &launch)?;
        Ok(launch)
    }

    /// Writes the `launch.json` of a visit in `dir`.
    pub(super) fn prepare_visit(&self, dir: &Path, container: &Container) -> Result<Launch> {
        let record = visited(&container.record());
        let plan = hull_plan::plan(&record.id, &record.config, &host::plan_host())?;
        let image = self.root_disk_path(&record)?;
        let scratch = container.dir.join(layout::container::SCRATCH);
        let is_new = !scratch.exists();
        let launch = Launch {
            visit: true,
            log: LogLaunch::None,
            health: None,
            ..self.launch(dir, &record, &plan, (image, scratch), is_new)?
        };
        write_launch(dir, &launch)?;
        Ok(launch)
    }

    fn launch(
        &self,
        dir: &Path,
        record: &Record,
        plan: &Plan,
        (image, scratch): (PathBuf, PathBuf),
        is_new: bool,
    ) -> Result<Launch> {
        let config = &record.config;
        config.host.blkio_rates.paths().try_for_each(check_block_device)?;
        let spec = to_raw_value(&plan.spec)
            .map_err(|error| Error::internal("cannot encode a specification", error))?;
        let kernel = match &config.host.kernel {
            Some(path) => PathBuf::from(path),
            None => self.kernel_path(),
        };
        Ok(Launch {
            container: record.id.clone(),
            machine: self.machine(kernel, plan.vm.vcpus, config.host.memory),
            templates: self.templates_launch()?,
            from: None,
            disks: Disks { image, image_type: "erofs".into(), scratch: Some(scratch) },
            spec,
            user: plan.user.clone(),
            groups: plan.groups.clone(),
            files: plan.files.clone(),
            shares: self.shares(plan, is_new)?,
            sockets: super::sockets::published(&config.host),
            init: plan.init,
            sysctls: Default::default(),
            network: None,
            stdio: StdioLaunch {
                tty: config.tty,
                open_stdin: config.open_stdin,
                stdin_once: config.stdin_once,
            },
            log: log_launch(dir, record)?,
            stop: StopLaunch {
                signal: plan.stop_signal,
                timeout: config.stop_timeout.unwrap_or(self.inner.settings.stop_timeout),
            },
            health: super::health::launch(record)?,
            visit: false,
            discard: config.host.auto_remove,
        })
    }

    /// Describes a machine; `memory` is the limit of its container in bytes, 0 if there is none.
    pub(crate) fn machine(&self, kernel: PathBuf, vcpus: u32, memory: i64) -> MachineLaunch {
        MachineLaunch {
            home: self.inner.layout.root().to_owned(),
            kernel,
            agent: self.agent_path(),
            fork_library: Some(self.inner.settings.lib_dir.join(FORK_LIBRARY)),
            arch: std::env::consts::ARCH.to_owned(),
            qemu: None,
            accelerator: AcceleratorChoice::Auto,
            probe_cache: self.inner.layout.probe_cache(),
            vcpus,
            memory: memory_limit(memory),
        }
    }

    /// Describes the machine of a container that asks for `config`, with the usual kernel.
    pub(crate) fn machine_for(&self, config: &HostConfig, host: &Host) -> MachineLaunch {
        self.machine(self.kernel_path(), VmSize::new(config, host).vcpus, config.memory)
    }

    /// Says which templates machines are forked from; `None` if they are switched off.
    pub(crate) fn templates_launch(&self) -> Result<Option<TemplatesLaunch>> {
        let settings = self.inner.settings.templates;
        if !settings.enabled {
            return Ok(None);
        }
        // What a container asks for that says nothing is what templates are made ready for.
        let mut plan = usual_plan(vec!["/".to_owned()], Vec::new())?;
        if let Some(linux) = &mut plan.spec.linux {
            // It is the process's, not the guest's.
            linux.seccomp = None;
        }
        let spec = to_raw_value(&plan.spec)
            .map_err(|error| Error::internal("cannot encode a specification", error))?;
        Ok(Some(TemplatesLaunch {
            dir: self.inner.layout.templates(),
            max_bytes: Some(settings.max_bytes),
            spec,
        }))
    }

    /// Describes the container that a waiting machine practises with.
    pub(crate) fn rehearsal(&self) -> Result<RehearsalLaunch> {
        let command = hull_template::image::COMMAND.map(str::to_owned).to_vec();
        let share = MountPoint::new(MountKind::Bind, hull_template::image::SHARE);
        let plan = usual_plan(command, vec![share])?;
        let spec = to_raw_value(&plan.spec)
            .map_err(|error| Error::internal("cannot encode a specification", error))?;
        Ok(RehearsalLaunch { spec, user: plan.user, files: plan.files })
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

/// Plans a container that asks for nothing else, as one that is created.
fn usual_plan(command: Vec<String>, mount_points: Vec<MountPoint>) -> Result<Plan> {
    let cmd = Some(command);
    let mut usual = ContainerConfig { cmd, mount_points, ..ContainerConfig::default() };
    hull_plan::merge_image(&mut usual, &ImageConfig::default())?;
    Ok(hull_plan::plan(NOBODY, &usual, &host::plan_host())?)
}

fn write_launch(dir: &Path, launch: &Launch) -> Result<()> {
    let path = dir.join(paths::LAUNCH);
    let json = serde_json::to_vec(launch)
        .map_err(|error| Error::internal("cannot encode a launch", error))?;
    // Nobody reads it before the supervisor is started, and that comes after.
    durable::write(&path, &json, Survives::Kill).map_err(Error::file("write", &path))
}

/// Returns a container as visitors see it: with all its files, but of the usual size and with
/// nothing to be executed, so that any usual machine will do.
fn visited(record: &Record) -> Record {
    let mut record = record.clone();
    let config = &mut record.config;
    config.user.clear();
    config.entrypoint = None;
    // Looked for, never executed: the agent itself is in every container until then.
    config.cmd = Some(vec!["/proc/self/exe".into()]);
    config.tty = false;
    config.open_stdin = false;
    let usual = HostConfig::default();
    let host = &mut config.host;
    host.init = None;
    host.kernel = None;
    host.auto_remove = false;
    host.group_add.clear();
    host.sysctls.clear();
    host.network_mode = "none".into();
    // Nobody sees what would be written there.
    host.tmpfs.clear();
    (host.memory, host.memory_swap) = (usual.memory, usual.memory_swap);
    host.memory_reservation = usual.memory_reservation;
    (host.nano_cpus, host.cpu_period, host.cpu_quota) =
        (usual.nano_cpus, usual.cpu_period, usual.cpu_quota);
    (host.cpuset_cpus, host.cpuset_mems) = (usual.cpuset_cpus, usual.cpuset_mems);
    record
}

/// Where a container's log is; `None` if it has none.
pub(crate) fn log_path(dir: &Path, record: &Record) -> Option<PathBuf> {
    match record.config.host.log.driver.as_str() {
        "journald" | "none" => None,
        "local" => Some(dir.join("local.log")),
        _ => Some(dir.join(format!("{}-json.log", record.id))),
    }
}

fn log_launch(dir: &Path, record: &Record) -> Result<LogLaunch> {
    let log = &record.config.host.log;
    let LogPlan { driver, max_size, max_file, compress } = log.plan()?;
    let facts = LogFacts { id: &record.id, name: &record.name, image_id: &record.image.id };
    if driver == LogDriver::Journald {
        let socket = PathBuf::from(JOURNAL);
        if !socket.exists() {
            return Err(Error::InvalidParameter(
                "failed to initialize logging driver: journald is not enabled on this host".into(),
            ));
        }
        return Ok(LogLaunch::Journald {
            socket,
            fields: log.journal_fields(&record.config, facts)?,
        });
    }
    Ok(match log_path(dir, record) {
        None => LogLaunch::None,
        Some(path) => LogLaunch::JsonFile {
            file: LogFileLaunch { path, max_size, max_file, compress },
            attributes: log.attributes(&record.config, facts)?,
        },
    })
}

/// Checks a path of the host that limits of block I/O are for, in Docker's words.
fn check_block_device(path: &str) -> Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    match fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_block_device() => Ok(()),
        Ok(_) => Err(Error::InvalidParameter(format!("{path}: no such device"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::InvalidParameter(format!("stat {path}: no such file or directory")))
        }
        Err(error) => Err(Error::file("look at", path)(error)),
    }
}

/// Where systemd-journald takes records (systemd-journald.service(8)).
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Makes the container's disk, if it is to be smaller than others and is not there yet.
fn make_limited_disk(path: &Path, config: &HostConfig) -> Result<()> {
    let Some(size) = config.storage_opt.get("size") else {
        return Ok(());
    };
    if path.exists() {
        return Ok(());
    }
    let building = path.with_extension("new");
    hull_template::scratch::format_with(&building, parse_size(size)?)
        .and_then(|()| fs::rename(&building, path))
        .map_err(Error::file("make", path))
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

/// Memory that a container's machine has for it, bytes. Less than usual gets the usual machine, which
/// has a template, and whose memory is the host's until it is written: the control group limits it,
/// and that can be raised. A limit beyond the host's memory never binds.
pub(super) fn memory_limit(asked: i64) -> u64 {
    let default = hull_plan::DEFAULT_MEMORY.unsigned_abs();
    match u64::try_from(asked) {
        Ok(asked) => asked.clamp(default, host::memory().max(default)),
        Err(_) => default,
    }
}

/// Name of a container that is none.
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Made by `hull-remap`.
const FORK_LIBRARY: &str = "libhull_remap.so";
