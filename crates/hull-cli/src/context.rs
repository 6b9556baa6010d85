//! What a command knows about its surroundings. The only reader of the environment.

use std::path::{Path, PathBuf};

use crate::error::Failure;

/// Where things are, from flags and environment.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// State directory of the daemon.
    pub(crate) home: PathBuf,
    /// Directory of the guest's kernel and agent.
    pub(crate) lib: PathBuf,
    /// The daemon's socket.
    pub(crate) socket: PathBuf,
    /// The socket was named by the user: a daemon that is not there is not started.
    pub(crate) explicit: bool,
    /// Directory of Docker's client configuration.
    pub(crate) config: PathBuf,
    /// Log more.
    pub(crate) debug: bool,
    /// This program.
    pub(crate) program: PathBuf,
}

/// Flags in front of the command.
#[derive(Clone, Debug, Default)]
pub(crate) struct GlobalFlags {
    pub(crate) host: Option<String>,
    pub(crate) config: Option<String>,
    pub(crate) debug: bool,
}

impl Context {
    /// Puts flags and environment together.
    pub(crate) fn new(flags: &GlobalFlags) -> Result<Self, Failure> {
        let home = match variable("HULL_HOME") {
            Some(home) => std::path::absolute(home)?,
            None => default_home()?,
        };
        let program = std::env::current_exe()
            .map_err(|error| Failure::new(format!("cannot find this program: {error}")))?;
        let host = match &flags.host {
            Some(host) => Some(socket_of("-H", host)?),
            None => match variable("HULL_HOST") {
                Some(host) => Some(socket_of("HULL_HOST", &host)?),
                // A Docker daemon elsewhere is no business of ours.
                None => variable("DOCKER_HOST")
                    .filter(|host| host.starts_with("unix://"))
                    .map(|host| socket_of("DOCKER_HOST", &host))
                    .transpose()?,
            },
        };
        let config = flags.config.clone().or_else(|| variable("DOCKER_CONFIG"));
        Ok(Self {
            lib: match variable("HULL_LIB") {
                Some(lib) => std::path::absolute(lib)?,
                None => default_lib(&program),
            },
            explicit: host.is_some(),
            socket: host.unwrap_or_else(|| home.join("hull.sock")),
            home,
            config: match config {
                Some(config) => config.into(),
                None => PathBuf::from(variable("HOME").unwrap_or_default()).join(".docker"),
            },
            debug: flags.debug,
            program,
        })
    }

    /// Where the daemon writes what it does.
    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("daemon.log")
    }
}

/// Returns a variable of the environment, if it is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

/// Returns a variable of the environment, even if it is empty: for `--env NAME`.
pub(crate) fn raw_variable(name: &str) -> Option<String> {
    Some(std::env::var_os(name)?.to_string_lossy().into_owned())
}

fn socket_of(source: &str, host: &str) -> Result<PathBuf, Failure> {
    let path = host.strip_prefix("unix://").unwrap_or(host);
    if path.contains("://") || !path.starts_with('/') {
        return Err(Failure::with_hint(
            format!("unable to parse {source} `{host}`"),
            "hull speaks to local daemons only: give unix:///path/to/socket",
        ));
    }
    Ok(path.into())
}

fn default_home() -> Result<PathBuf, Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/hull".into());
    }
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/share")))
        .map(|data| data.join("hull"))
        .ok_or_else(|| {
            Failure::with_hint("cannot tell where to keep state", "set HULL_HOME or HOME")
        })
}

/// Beside the program, as in a build directory, or where `make install` puts it.
fn default_lib(program: &Path) -> PathBuf {
    let beside = program.parent().unwrap_or(Path::new("/")).to_owned();
    let installed = beside.parent().map(|prefix| prefix.join("lib/hull"));
    let holds_agent = |dir: &PathBuf| dir.join("hull-init").exists();
    [
        Some(beside.clone()),
        installed,
        Some("/usr/local/lib/hull".into()),
        Some("/usr/lib/hull".into()),
    ]
    .into_iter()
    .flatten()
    .find(holds_agent)
    .unwrap_or(beside)
}
