//! The small init of `--init`: runs one program, forwards signals to it, reaps orphans, and exits
//! as it does. Behaves and speaks like tini, which Docker uses.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use crate::{rehearsal, sys};

/// Runs `args` (after an optional `--`).
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    if args == REHEARSAL {
        rehearsal::perform();
        return ExitCode::SUCCESS;
    }
    let args: Vec<CString> = args
        .into_iter()
        .skip_while(|arg| arg == "--")
        .filter_map(|arg| CString::new(arg.into_vec()).ok())
        .collect();
    if args.is_empty() {
        say("usage: docker-init -- program [args]");
        return ExitCode::FAILURE;
    }
    let signals = sys::block_all_signals();
    for signal in [libc::SIGTTIN, libc::SIGTTOU] {
        sys::ignore_signal(signal, true);
    }
    let child = match sys::fork() {
        Ok(0) => execute(&args),
        Ok(child) => child,
        Err(errno) => {
            say(&format!("[FATAL tini] fork failed: {errno}"));
            return ExitCode::FAILURE;
        }
    };
    loop {
        match sys::wait_signal(&signals) {
            Some(libc::SIGCHLD) => {
                if let Some(code) = reap(child) {
                    return ExitCode::from(code);
                }
            }
            Some(signal) => {
                // It may have ended: SIGCHLD comes next.
                let _ = sys::kill(child, signal);
            }
            None => {}
        }
    }
}

/// Reaps what has ended; the exit code if `child` is among it.
fn reap(child: i32) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() != child {
            continue;
        }
        code = match (status.exit_status(), status.terminating_signal()) {
            (Some(exit), _) => Some(exit as u8),
            (None, Some(signal)) => Some((128 + signal) as u8),
            (None, None) => None,
        };
    }
    code
}

fn execute(args: &[CString]) -> ! {
    let _ = rustix::process::setpgid(None, None);
    // Without a terminal there is no foreground to take.
    let _ = sys::take_foreground();
    for signal in [libc::SIGTTIN, libc::SIGTTOU] {
        sys::ignore_signal(signal, false);
    }
    sys::reset_signals();
    let errno = execvp(args);
    let program = args[0].to_string_lossy();
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let pid = rustix::process::getpid().as_raw_nonzero();
    say(&format!("[FATAL tini ({pid})] exec {program} failed: {text}"));
    sys::exit_now(match errno {
        Errno::NOENT => 127,
        Errno::ACCESS => 126,
        _ => 1,
    })
}

/// execvp(3) with the environment as it is.
fn execvp(args: &[CString]) -> Errno {
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            CString::new(entry).ok()
        })
        .collect();
    let name = args[0].to_bytes();
    if name.contains(&b'/') {
        return sys::execve(&args[0], args, &environment);
    }
    let path =
        std::env::var_os("PATH").map_or_else(|| b"/bin:/usr/bin".to_vec(), OsString::into_vec);
    let mut result = Errno::NOENT;
    for directory in path.split(|byte| *byte == b':') {
        let mut candidate = directory.to_vec();
        if !candidate.is_empty() {
            candidate.push(b'/');
        }
        candidate.extend_from_slice(name);
        let Ok(candidate) = CString::new(candidate) else {
            continue;
        };
        match sys::execve(&candidate, args, &environment) {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => result = Errno::ACCESS,
            errno => return errno,
        }
    }
    result
}

fn say(line: &str) {
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{line}\n").as_bytes());
}

/// What it is told in a container that is run for practice: `hull_template::image::COMMAND` as the
/// program of `--init`.
const REHEARSAL: [&str; 3] = ["--", "/sbin/docker-init", "--rehearse"];
