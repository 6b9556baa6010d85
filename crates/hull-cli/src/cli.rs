//! From the command line to a command.

use std::process::ExitCode;

use crate::commands::{self, Found};
use crate::context::{Context, GlobalFlags};
use crate::error::Failure;
use crate::flags::{FlagSet, Switch, Usage};
use crate::output;

/// Runs the command that this process's arguments name.
pub(crate) fn main() -> ExitCode {
    // As Go does it: arguments that are no UTF-8 cannot be sent as JSON.
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    report(dispatch(&arguments))
}

fn dispatch(arguments: &[String]) -> Result<(), Failure> {
    let mut global = GlobalFlags::default();
    let usage = program();
    let mut flags = FlagSet::new(&usage);
    let mut debug = Switch(false);
    let mut version = Switch(false);
    flags.both(&mut global.host, 'H', "host", "Daemon socket to connect to");
    flags.long(
        &mut global.config,
        "config",
        "Directory of Docker's client configuration, with credentials for registries",
    );
    let mut docker_context = String::new();
    let mut level = String::new();
    flags.both(
        &mut docker_context,
        'c',
        "context",
        "Name of the context to use; `default` is the only one that there is",
    );
    flags.both(&mut debug, 'D', "debug", "Enable debug mode");
    flags.both(
        &mut level,
        'l',
        "log-level",
        "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")",
    );
    flags.both(&mut version, 'v', "version", "Print version information and quit");
    let options = flags.options();
    let rest = match flags.parse_leading(arguments) {
        Ok(rest) => rest,
        Err(Failure::Help(_)) => return output::print(commands::overview(&options)),
        Err(failure) => return Err(failure),
    };
    global.debug = debug.0 || is_debug(&level)?;
    if version.0 {
        return output::line(concat!("Hull version ", env!("CARGO_PKG_VERSION")));
    }
    if !matches!(docker_context.as_str(), "" | "default") {
        return Err(Failure::new(format!(
            "Failed to initialize: unable to resolve docker endpoint: context {docker_context:?}: \
             context not found"
        )));
    }
    match commands::find(rest)? {
        Found::Overview => output::print(commands::overview(&options)),
        Found::Group(help) => output::print(help),
        // As docker's client: where help is not what was asked for, it is no output.
        Found::Nothing => {
            output::error(commands::overview(&options).trim_end());
            Ok(())
        }
        Found::Unfinished(help) => {
            output::error(help.trim_end());
            Ok(())
        }
        Found::Command(command, path, rest) => {
            let context = Context::new(&global)?;
            command.run(&context, path, rest)
        }
    }
}

/// Whether a level of logging has debug messages: those above are said anyway, as errors.
fn is_debug(level: &str) -> Result<bool, Failure> {
    match level.to_lowercase().as_str() {
        "trace" | "debug" => Ok(true),
        "" | "info" | "warn" | "warning" | "error" | "fatal" | "panic" => Ok(false),
        _ => Err(Failure::new(format!("Unable to parse logging level: {level}"))),
    }
}

/// The usage of `hull` itself.
pub(crate) fn program() -> Usage {
    Usage {
        path: "hull".into(),
        arguments: "[OPTIONS] COMMAND [ARG...]",
        about: "Containers in virtual machines of their own",
        aliases: &[],
    }
}

/// Prints what a command failed with, and returns its exit code.
fn report(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Code(code)) => ExitCode::from(code),
        Err(Failure::Help(text)) => report(output::print(text)),
        Err(Failure::Message { text, hint, code }) => {
            output::error(&text);
            if let Some(hint) = hint {
                output::hint(&hint);
            }
            ExitCode::from(code)
        }
    }
}
