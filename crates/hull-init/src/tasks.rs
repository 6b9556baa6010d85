//! Work that may block or that reads what a container controls, done in forked helpers.

use std::cmp::Ordering;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_protocol::{ErrorCode, ExitStatus, Part, Process, Reply, Stat};
use rustix::event::epoll::EventFlags;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use crate::agent::Agent;
use crate::archive::unpack::Owner;
use crate::archive::{pack, unpack};
use crate::child::{Child, Role};
use crate::container::paths::read_file;
use crate::container::process::FILE_LIMIT;
use crate::container::{spawn, user};
use crate::failure::{Context, Failure, Result};
use crate::poller::Token;
use crate::requests::check_path;
use crate::stats::clock_ticks;
use crate::streams::Sink;

impl Agent {
    /// Answers request `number` with what `work` (in `container`) returns in a helper, which has the descriptors
    /// `keep` and no others.
    pub(crate) fn task(
        &mut self,
        number: u32,
        container: Option<String>,
        keep: &[BorrowedFd<'_>],
        work: impl FnOnce() -> Result<Reply>,
    ) -> Result<Option<Reply>> {
        self.helper(number, container, (None, None), keep, work)
    }

    /// Sends a part of a container.
    pub(crate) fn copy_out(
        &mut self,
        number: u32,
        container: &str,
        part: &Part,
        stream: u32,
    ) -> Result<Option<Reply>> {
        let found = self.container(container)?;
        let owner = found.key;
        let (first, second) = match part {
            Part::Path(path) => {
                check_path(path)?;
                (found.view()?, None)
            }
            Part::Root => (found.root.open()?, None),
            Part::Layer | Part::Changes | Part::Size => {
                let (upper, lower) = found.root.layers()?;
                (upper, Some(lower))
            }
        };
        self.check_stream(stream)?;
        let (read, write) = spawn::pipe()?;
        rustix::io::ioctl_fionbio(&read, true).context(|| "pipe".into())?;
        let mut keep = vec![first.as_fd(), write.as_fd()];
        keep.extend(second.as_ref().map(AsFd::as_fd));
        self.helper(number, Some(container.into()), (None, Some(stream)), &keep, || {
            let packed = match (part, &second) {
                (Part::Path(path), _) => {
                    enter(&first)?;
                    pack::pack(path, &write)
                }
                (Part::Layer, Some(lower)) => pack::pack_layer(&first, lower, &write),
                (Part::Changes, Some(lower)) => pack::list_changes(&first, lower, &write),
                (Part::Size, _) => pack::write_size(&first, &write),
                _ => pack::pack_root(&first, &write),
            };
            packed.map(|()| Reply::Done)
        })?;
        self.streams.add_output(stream, read, Some(owner));
        Ok(None)
    }

    /// Extracts an archive into a directory of a container.
    pub(crate) fn copy_in(
        &mut self,
        number: u32,
        container: &str,
        path: &str,
        stream: u32,
        how: Extraction,
    ) -> Result<Option<Reply>> {
        check_path(path)?;
        let root = self.container(container)?.view()?;
        self.check_stream(stream)?;
        let (read, write) = spawn::pipe()?;
        rustix::io::ioctl_fionbio(&write, true).context(|| "pipe".into())?;
        let keep = [root.as_fd(), read.as_fd()];
        self.helper(number, Some(container.into()), (Some(stream), None), &keep, || {
            enter(&root)?;
            let owner = how.owner.as_deref().map(owner).transpose()?;
            let extracted = unpack::unpack(path, &read, how.no_overwrite_dir_non_dir, owner);
            extracted.map(|()| Reply::Done)
        })?;
        self.streams.add_input(stream, write, Sink::Pipe, &self.poller);
        Ok(None)
    }

    /// Forks a helper whose input and output streams are `input` and `output`.
    fn helper(
        &mut self,
        number: u32,
        container: Option<String>,
        (input, output): (Option<u32>, Option<u32>),
        keep: &[BorrowedFd<'_>],
        work: impl FnOnce() -> Result<Reply>,
    ) -> Result<Option<Reply>> {
        let (pid, pidfd, pipe) = spawn::helper(keep, |pipe| answer(pipe, work()))?;
        let key = self.key();
        self.poller
            .add(&pipe, Token::Child(key), EventFlags::IN)
            .context(|| "watch a helper".into())?;
        let child = Child {
            pid,
            pidfd,
            role: Role::Task { container, answer: Vec::new() },
            request: Some(number),
            control: Some(pipe),
            status: None,
            outputs: output.into_iter().collect(),
            input,
        };
        self.children.insert(key, child);
        Ok(None)
    }

    pub(crate) fn check_stream(&self, stream: u32) -> Result<()> {
        match self.is_free(stream) {
            true => Ok(()),
            false => Err(Failure::invalid("stream is 0 or in use")),
        }
    }
}

/// How an archive is extracted; see [`hull_protocol::Request::CopyIn`].
#[derive(Debug)]
pub(crate) struct Extraction {
    pub(crate) no_overwrite_dir_non_dir: bool,
    pub(crate) owner: Option<String>,
}

/// Looks a user up in the container, once [`enter`] has been called.
fn owner(user: &str) -> Result<Owner> {
    let root = open_inside("/", OFlags::PATH | OFlags::DIRECTORY)?;
    let file = |path| read_file(&root, path, FILE_LIMIT);
    let (passwd, group) = (file("/etc/passwd"), file("/etc/group"));
    let found = user::look_up(user, &[], passwd.as_deref(), group.as_deref())?;
    Ok((Uid::from_raw(found.uid), Gid::from_raw(found.gid)))
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
    let trimmed = path.trim_end_matches('/');
    let (parent, last) = trimmed.rsplit_once('/').unwrap_or(("", "."));
    // A slash or a dot at the end follows a link before it.
    let (parent, last) = match last {
        "." | ".." => (path, "."),
        _ if trimmed.len() < path.len() => (path, "."),
        last => (parent, last),
    };
    let directory = open_inside(&format!("{parent}/"), OFlags::PATH | OFlags::DIRECTORY).map_err(
        |failure| {
            Failure::new(
                failure.code,
                failure.message.replacen(&format!("lstat {parent}/"), &format!("lstat {path}"), 1),
            )
        },
    )?;
    let stat = rustix::fs::statat(&directory, last, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| path_failure(path, errno))?;
    let link_target = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => follow(path).map_err(|errno| path_failure(path, errno))?,
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

/// Follows all links in an absolute path, once [`enter`] has been called; what is not there stays
/// as it is written.
fn follow(path: &str) -> rustix::io::Result<String> {
    const MOST_LINKS: u32 = 255;
    let parts = |path: &str| path.split('/').rev().map(str::to_owned).collect::<Vec<_>>();
    let mut rest = parts(path);
    let mut followed: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                followed.pop();
                continue;
            }
            _ => {}
        }
        followed.push(part);
        let here = format!("/{}", followed.join("/"));
        if let Ok(target) = rustix::fs::readlink(here, Vec::new()) {
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP);
            }
            let target = target.to_string_lossy();
            match target.starts_with('/') {
                true => followed.clear(),
                false => drop(followed.pop()),
            }
            rest.extend(parts(&target));
        }
    }
    Ok(format!("/{}", followed.join("/")))
}

/// Describes processes by their numbers in the guest; those that have ended are left out.
pub(crate) fn processes(pids: &[i32]) -> Result<Reply> {
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = crate::container::cgroup::value(&boot, "btime").unwrap_or(0);
    // Parents are told by their numbers in the container.
    let own_number = |pid: i32| -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
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
            state: state(pid, &fields),
            virtual_kib: number(20)? as u64 >> 10,
            resident_kib: (number(21)? as u64).saturating_mul(rustix::param::page_size() as u64)
                >> 10,
        })
    };
    Ok(Reply::Processes { processes: pids.iter().filter_map(|pid| describe(*pid)).collect() })
}

/// Returns the state of a process as `ps` shows it, from the fields of its `stat` file that follow
/// its name: proc_pid_stat(5).
fn state(pid: i32, fields: &[&str]) -> String {
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<i64>().ok());
    let mut text = fields.first().copied().unwrap_or("?").to_owned();
    match number(16).unwrap_or(0).cmp(&0) {
        Ordering::Greater => text.push('N'),
        Ordering::Less => text.push('<'),
        Ordering::Equal => {}
    }
    if number(3) == Some(pid.into()) {
        text.push('s');
    }
    if number(17).is_some_and(|threads| threads > 1) {
        text.push('l');
    }
    if number(5).is_some() && number(5) == number(2) {
        text.push('+');
    }
    text
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

/// Opens an absolute path of the container, once [`enter`] has been called. Links are followed,
/// except those of /proc that lead to other processes' files.
pub(crate) fn open_inside(path: &str, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
        .map_err(|errno| path_failure(path, errno))
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
    let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00));
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
