//! `hull network-service HOME` and `hull network-door HOME [USERNS NETNS]`: the processes that have
//! the containers' networks. Started by supervisors, and by the service.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::output;

/// Runs the service. Closes standard output when it can be reached.
pub(crate) fn service(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(home) = arguments.next() else {
        return usage("network-service HOME [USERNS NETNS]");
    };
    let Ok(kept) = namespaces(arguments) else {
        return usage("network-service HOME [USERNS NETNS]");
    };
    output::log_to_stderr(false);
    let run = || -> Result<(), Box<dyn std::error::Error>> {
        let program = std::env::current_exe()?;
        let ready = std::io::stdout().as_fd().try_clone_to_owned()?;
        let null = std::fs::File::options().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
        hull_network::service::run(&program, Path::new(&home), kept, ready)?;
        Ok(())
    };
    report(run())
}

/// Runs the process in the namespace. The service is at standard input.
pub(crate) fn door(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Ok(namespaces) = namespaces(arguments.skip(1)) else {
        return usage("network-door HOME [USERNS NETNS]");
    };
    let run = || -> Result<(), Box<dyn std::error::Error>> {
        let control = std::io::stdin().as_fd().try_clone_to_owned()?;
        hull_network::namespace::run_door(control, namespaces)?;
        Ok(())
    };
    report(run())
}

/// Reads the paths of two namespaces, or nothing.
fn namespaces(arguments: impl Iterator<Item = OsString>) -> Result<Option<[PathBuf; 2]>, ()> {
    match <[PathBuf; 2]>::try_from(arguments.map(PathBuf::from).collect::<Vec<_>>()) {
        Ok(paths) => Ok(Some(paths)),
        Err(paths) if paths.is_empty() => Ok(None),
        Err(_) => Err(()),
    }
}

fn usage(text: &str) -> ExitCode {
    output::error(&format!("usage: hull {text} (only hull itself calls this)"));
    ExitCode::from(125)
}

fn report(result: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&output::chain(&*error));
            ExitCode::FAILURE
        }
    }
}
