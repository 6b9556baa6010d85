//! Work that may block or that reads what a container controls, done in forked helpers.

use std::fs;
use std::os::fd::OwnedFd;

use hull_protocol::{ErrorCode, ExitStatus, Process, Reply, Stat};
use rustix::event::epoll::EventFlags;
use rustix::fs::{AtFlags, CWD, FileType};
use rustix::io::Errno;

use crate::agent::Agent;
use crate::child::{Child, Role};
use crate::container::spawn;
use crate::failure::{Context, Failure, Result};
use crate::poller::Token;
use crate::requests::check_path;
use crate::stats::clock_ticks;

impl Agent {
    /// Answers request `number` with what `work` returns in a helper.
    pub(crate) fn task(
        &mut self,
        number: u32,
        work: impl FnOnce() -> Result<Reply>,
    ) -> Result<Option<Reply>> {
        self.helper(number, Vec::new(), None, work)
    }

    /// As [`Agent::task`]; the helper's other ends of `outputs` and `input` are in `work`.
    pub(crate) fn helper(
        &mut self,
        number: u32,
        outputs: Vec<u32>,
        input: Option<u32>,
        work: impl FnOnce() -> Result<Reply>,
    ) -> Result<Option<Reply>> {
        let (pid, pidfd, answer) = spawn::helper(|pipe| answer(&pipe, work()))?;
        let key = self.key();
        self.poller
            .add(&answer, Token::Child(key), EventFlags::IN)
            .context(|| "watch a helper".into())?;
        let child = Child {
            pid,
            pidfd,
            role: Role::Task { answer: Vec::new() },
            request: Some(number),
            control: Some(answer),
            status: None,
            outputs,
            input,
        };
        self.children.insert(key, child);
        Ok(None)
    }

    pub(crate) fn copy_out(&mut self, _: u32, _: &str, _: String, _: u32) -> Result<Option<Reply>> {
        Err(Failure::new(
            ErrorCode::Unsupported,
            "copying is not there yet",
        ))
    }

    pub(crate) fn copy_in(
        &mut self,
        _: u32,
        _: &str,
        _: String,
        _: u32,
        _: bool,
    ) -> Result<Option<Reply>> {
        Err(Failure::new(
            ErrorCode::Unsupported,
            "copying is not there yet",
        ))
    }
}

/// Returns what a helper answered.
pub(crate) fn result(answer: &[u8], status: ExitStatus) -> Result<Reply> {
    match answer.split_first() {
        Some((&OK, reply)) => serde_json::from_slice(reply)
            .map_err(|error| Failure::failed(format!("malformed answer of a helper: {error}"))),
        Some((&FAILED, failure)) => Err(Failure::decode(failure)),
        _ => Err(Failure::failed(format!("a helper ended with {status:?}"))),
    }
}

/// Describes one path as seen in `root`.
pub(crate) fn stat(root: &OwnedFd, path: &str) -> Result<Reply> {
    enter(root)?;
    check_path(path)?;
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| path_failure(path, errno))?;
    let link_target = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => rustix::fs::readlink(path, Vec::new())
            .map(|target| target.to_string_lossy().into_owned())
            .map_err(|errno| path_failure(path, errno))?,
        _ => String::new(),
    };
    let name = path.trim_end_matches('/').rsplit('/').next();
    Ok(Reply::Stat(Stat {
        name: name.filter(|name| !name.is_empty()).unwrap_or("/").into(),
        size: stat.st_size as u64,
        mode: stat.st_mode,
        mtime_ns: stat.st_mtime as i64 * 1_000_000_000 + stat.st_mtime_nsec as i64,
        link_target,
    }))
}

/// Describes processes by their numbers in the guest; those that have ended are left out.
pub(crate) fn processes(pids: &[i32]) -> Result<Reply> {
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = crate::container::cgroup::value(&boot, "btime").unwrap_or(0);
    // Parents are told by their numbers in the container.
    let own_number = |pid: i32| -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        numbers.split_ascii_whitespace().last()?.parse().ok()
    };
    let describe = |pid: i32| -> Option<Process> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
        let parent = number(1)? as i32;
        let ticks = clock_ticks();
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = command.strip_suffix(b"\0").unwrap_or(&command);
        let uid = fs::metadata(format!("/proc/{pid}")).ok()?;
        Some(Process {
            pid: own_number(pid)?,
            parent: match pids.contains(&parent) {
                true => own_number(parent)?,
                false => 0,
            },
            uid: std::os::unix::fs::MetadataExt::uid(&uid),
            started: boot + number(19)? as u64 / ticks,
            cpu_ms: (number(11)? + number(12)?) as u64 * 1000 / ticks,
            tty: terminal_name(number(4)?),
            command: match command {
                b"" => format!("[{name}]"),
                command => String::from_utf8_lossy(command).replace('\0', " "),
            },
        })
    };
    Ok(Reply::Processes {
        processes: pids.iter().filter_map(|pid| describe(*pid)).collect(),
    })
}

/// Changes the root of a helper to a container's: from here on every path is the container's, and
/// every symbolic link stays in there.
pub(crate) fn enter(root: &OwnedFd) -> Result<()> {
    let what = || "enter the container's root".to_owned();
    rustix::process::fchdir(root).context(what)?;
    rustix::process::chroot(".").context(what)?;
    rustix::process::umask(rustix::fs::Mode::empty());
    Ok(())
}

/// Returns the failure for a path of the container.
pub(crate) fn path_failure(path: &str, errno: Errno) -> Failure {
    let code = match errno {
        Errno::NOENT | Errno::NOTDIR => ErrorCode::NotFound,
        _ => ErrorCode::Failed,
    };
    let text = crate::failure::errno_text(errno);
    Failure::new(code, format!("lstat {path}: {text}"))
}

fn answer(pipe: &OwnedFd, result: Result<Reply>) {
    let mut message = Vec::new();
    match result {
        Ok(reply) => match serde_json::to_vec(&reply) {
            Ok(reply) => {
                message.push(OK);
                message.extend_from_slice(&reply);
            }
            Err(error) => {
                message.push(FAILED);
                message.extend(Failure::failed(error.to_string()).encode());
            }
        },
        Err(failure) => {
            message.push(FAILED);
            message.extend(failure.encode());
        }
    }
    let mut rest = message.as_slice();
    while !rest.is_empty() {
        match rustix::io::write(pipe, rest) {
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Names a controlling terminal as ps(1) does, from `tty_nr` of proc_pid_stat(5).
fn terminal_name(number: i64) -> String {
    let (major, minor) = (
        (number >> 8) & 0xfff,
        (number & 0xff) | ((number >> 12) & 0xfff00),
    );
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        _ => "?".into(),
    }
}

const OK: u8 = 0;
const FAILED: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_named() {
        assert_eq!(terminal_name(0), "?");
        assert_eq!(terminal_name(34816), "pts/0");
        assert_eq!(terminal_name(34817), "pts/1");
    }

    #[test]
    fn own_process_is_described() {
        let me = std::process::id() as i32;
        let Reply::Processes { processes } = super::processes(&[me, -5]).unwrap() else {
            panic!("not processes");
        };
        assert_eq!(processes.len(), 1);
        assert!(processes[0].command.contains("hull"));
        assert!(processes[0].started > 1_000_000_000);
    }
}
