//! `hull system service`: the daemon as a service of the host, so that containers come back at login
//! or boot.

mod launchd;
mod systemd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use crate::client::make_home;
use crate::commands::group::{Group, Member};
use crate::commands::{Command, Invocation};
use crate::context::{Context, variable};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const GROUP: Group = Group {
    name: "service",
    about: "Run the daemon as a service of this host",
    commands: &[
        (&["install"], Member::Command(&INSTALL)),
        (&["status"], Member::Command(&STATUS)),
        (&["uninstall"], Member::Command(&UNINSTALL)),
    ],
};

const INSTALL: Command = Command {
    name: "install",
    arguments: "",
    about: "Start the daemon, and containers that want it, at login (as root: at boot)",
    aliases: &[],
    run: install,
};

const UNINSTALL: Command = Command {
    name: "uninstall",
    arguments: "",
    about: "Leave the start of the daemon to commands that need it; containers run on",
    aliases: &[],
    run: uninstall,
};

const STATUS: Command = Command {
    name: "status",
    arguments: "",
    about: "Show whether the daemon is a service",
    aliases: &[],
    run: status,
};

/// How the host keeps services.
struct Manager {
    /// Where it reads the service from.
    file: PathBuf,
    content: String,
    /// Commands that make it known and start it, and those that make it forgotten.
    enable: Vec<Vec<String>>,
    disable: Vec<Vec<String>>,
    /// Succeeds if it runs.
    active: Vec<String>,
    /// The manager itself runs here.
    is_there: bool,
    /// What else users may want to do.
    hint: Option<String>,
}

impl Manager {
    fn of_this_host(context: &Context) -> Result<Self, Failure> {
        let home = variable("HOME")
            .map(PathBuf::from)
            .ok_or_else(|| Failure::with_hint("cannot tell where services are kept", "set HOME"))?;
        match cfg!(target_os = "macos") {
            true => Ok(launchd::manager(context, &home)),
            false => Ok(systemd::manager(context, &home)),
        }
    }

    fn is_active(&self) -> bool {
        self.is_there && succeeds(&self.active)
    }
}

fn install(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    invocation.flags().parse(arguments, Arity::None)?;
    let context = invocation.context;
    if context.explicit {
        return Err(Failure::with_hint(
            format!("the daemon at {} is not this host's to start", context.socket.display()),
            "unset HULL_HOST and DOCKER_HOST",
        ));
    }
    let manager = Manager::of_this_host(context)?;
    make_home(context)?;
    write(&manager.file, &manager.content)?;
    output::line(&format!("Wrote {}", manager.file.display()))?;
    if !manager.is_there {
        output::error("WARNING: no service manager runs here: do this again where one does");
        return Ok(());
    }
    for command in &manager.enable {
        check(command)?;
    }
    output::line("The daemon is a service now.")?;
    if let Some(hint) = &manager.hint {
        output::hint(hint);
    }
    Ok(())
}

fn uninstall(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    invocation.flags().parse(arguments, Arity::None)?;
    let manager = Manager::of_this_host(invocation.context)?;
    if !manager.file.exists() {
        return output::line("The daemon is no service.");
    }
    if manager.is_there {
        for command in &manager.disable {
            check(command)?;
        }
    }
    fs::remove_file(&manager.file).map_err(|error| cannot("remove", &manager.file, &error))?;
    output::line(&format!("Removed {}", manager.file.display()))
}

fn status(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    invocation.flags().parse(arguments, Arity::None)?;
    let manager = Manager::of_this_host(invocation.context)?;
    let written = fs::read_to_string(&manager.file).ok();
    let installed = match written {
        None => "no",
        Some(text) if text == manager.content => "yes",
        Some(_) => "yes, for another installation of Hull",
    };
    output::print(format!(
        "File:       {}\nInstalled:  {installed}\nRuns:       {}\n",
        manager.file.display(),
        if manager.is_active() { "yes" } else { "no" },
    ))
}

fn write(path: &Path, content: &str) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(|error| cannot("make", directory, &error))?;
    fs::write(path, content).map_err(|error| cannot("write", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot {what} {}: {error}", path.display()))
}

/// Runs a command of the service manager.
fn check(command: &[String]) -> Result<(), Failure> {
    let [program, arguments @ ..] = command else { return Ok(()) };
    let shown = command.join(" ");
    let ran = Process::new(program).args(arguments).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| Failure::new(format!("cannot run {shown}: {error}")))?;
    match ran.status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "{shown} failed: {}",
            String::from_utf8_lossy(&ran.stderr).trim_end()
        ))),
    }
}

fn succeeds(command: &[String]) -> bool {
    let [program, arguments @ ..] = command else { return false };
    let mut process = Process::new(program);
    process.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    process.status().is_ok_and(|status| status.success())
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
