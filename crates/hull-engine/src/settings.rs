//! What an engine must be told: it finds out nothing by itself.

use std::path::PathBuf;

/// Where things are and what is the default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// State directory (`HULL_HOME`). Absolute. Made if it is missing.
    pub root: PathBuf,
    /// Program that is started as `<program> supervisor <container directory>`.
    pub supervisor: PathBuf,
    /// Directory that holds the guest's `vmlinux` and `hull-init`.
    pub lib_dir: PathBuf,
    /// Platform of images where none is asked for, for example `linux/amd64`.
    pub platform: String,
    /// Docker's client configuration with registry credentials, if there is one.
    pub docker_config: Option<PathBuf>,
    /// Registries (`host[:port]`) that may be spoken to without TLS, besides loopback addresses.
    pub insecure_registries: Vec<String>,
    /// Seconds between the stop signal and SIGKILL where a container says nothing; negative: wait
    /// for ever.
    pub stop_timeout: i64,
    pub templates: TemplateSettings,
    pub pool: PoolSettings,
}

/// Whether machines are forked from templates, and how much disk those may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TemplateSettings {
    /// Without templates every machine boots.
    pub enabled: bool,
    /// Bytes that all templates may take on disk together; those used least recently go first.
    pub max_bytes: u64,
}

impl Default for TemplateSettings {
    fn default() -> Self {
        Self { enabled: true, max_bytes: 2 << 30 }
    }
}

/// How many machines wait for their container, forked ahead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PoolSettings {
    /// Machines that wait to be used up, at most, beside those that stand still to be cloned; 0:
    /// neither.
    pub size: usize,
    /// Bytes of host memory that those which wait may take together.
    pub max_bytes: u64,
    /// Whether the one that is used up next runs the program of the image that was started last for
    /// practice, as far as that has no effect; it is for containers of that image then.
    pub trials: bool,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { size: 1, max_bytes: 512 << 20, trials: true }
    }
}

impl Settings {
    /// Default settings for a state directory, the program that supervises, and the guest's files.
    pub fn new(
        root: impl Into<PathBuf>,
        supervisor: impl Into<PathBuf>,
        lib_dir: impl Into<PathBuf>,
    ) -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            root: root.into(),
            supervisor: supervisor.into(),
            lib_dir: lib_dir.into(),
            platform: format!("linux/{architecture}"),
            docker_config: None,
            insecure_registries: Vec::new(),
            stop_timeout: 10,
            templates: TemplateSettings::default(),
            pool: PoolSettings::default(),
        }
    }
}
