//! The last steps of a child on its way to be a process of a container: everything that an OCI
//! `process` object says, in runc's order, and execve(2).

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_spec::Process;
use rustix::fs::{FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::container::capabilities::Sets;
use crate::container::paths::{is_directory, open_if, read_file, resolve_or_create};
use crate::container::program;
use crate::container::seccomp::Program;
use crate::container::tty::Terminal;
use crate::container::user::{self, Identity};
use crate::container::{control, rlimits};
use crate::failure::{Context, Failure, Result, errno_text, quoted};
use crate::sys;

/// What a child becomes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) process: Process,
    /// As in [`hull_protocol::Create::user`].
    pub(crate) user: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) seccomp: Option<Program>,
    /// Standard input, output and error; what is absent becomes /dev/null or the terminal.
    pub(crate) stdio: [Option<OwnedFd>; 3],
    pub(crate) terminal: bool,
    /// The child's end of its control socket.
    pub(crate) control: OwnedFd,
}

/// What has to be found while the agent's own /proc is still there.
#[derive(Debug)]
pub(crate) struct Found {
    identity: Identity,
    pub(crate) terminal: Option<Terminal>,
    null: Option<OwnedFd>,
}

/// Makes a forked child a session of its own, with the signals of a new process.
pub(crate) fn begin() -> Result<()> {
    rustix::process::umask(Mode::empty());
    sys::reset_signals();
    rustix::process::setsid().context(|| "setsid".into())?;
    // Without CONFIG_KEYS there is none to join.
    let _ = sys::join_session_keyring(c"_ses.hull");
    Ok(())
}

/// Sets what is added to the badness of a process when memory runs out.
pub(crate) fn set_oom_score(score: Option<i32>) -> Result<()> {
    let Some(score) = score else {
        return Ok(());
    };
    let path = "/proc/self/oom_score_adj";
    std::fs::write(path, score.to_string())
        .map_err(|error| Failure::failed(format!("write {path}: {error}")))
}

impl Plan {
    /// Looks up the user and opens the terminal in `root`.
    pub(crate) fn find(&self, root: BorrowedFd<'_>) -> Result<Found> {
        let passwd = || read_file(root, "/etc/passwd", FILE_LIMIT);
        let identity = match &self.user {
            Some(name) => {
                let group = read_file(root, "/etc/group", FILE_LIMIT);
                user::look_up(name, &self.groups, passwd().as_deref(), group.as_deref())?
            }
            None => {
                let user = &self.process.user;
                let mut groups = user.additional_gids.clone();
                if !self.groups.is_empty() {
                    let group = read_file(root, "/etc/group", FILE_LIMIT);
                    let more = user::look_up("0:0", &self.groups, None, group.as_deref())?;
                    groups.extend_from_slice(&more.groups[1..]);
                }
                let has_home = self.process.env.iter().any(|entry| {
                    entry.strip_prefix("HOME=").is_some_and(|value| !value.is_empty())
                });
                Identity {
                    uid: user.uid,
                    gid: user.gid,
                    groups,
                    home: match has_home {
                        true => String::new(),
                        false => user::home(user.uid, passwd().as_deref()),
                    },
                }
            }
        };
        let terminal = match self.terminal {
            true => Some(Terminal::open(root, self.process.console_size)?),
            false => None,
        };
        let needs_null = !self.terminal && self.stdio.iter().any(Option::is_none);
        Ok(Found {
            identity,
            terminal,
            null: match needs_null {
                true => Some(null(root).context(|| "open /dev/null".into())?),
                false => None,
            },
        })
    }

    /// Becomes the process. The namespaces, the root and the cgroup are the container's already.
    /// Returns only if it fails while the agent's descriptors are still open.
    pub(crate) fn enter(self, found: Found) -> Result<Infallible> {
        let what = || "set up standard streams".to_owned();
        let slave = found.terminal.as_ref().map(|terminal| &terminal.slave);
        let fallback = slave.or(found.null.as_ref());
        for (number, fd) in (0..).zip(&self.stdio) {
            let Some(fd) = fd.as_ref().or(fallback) else {
                return Err(Failure::failed("a standard stream has nothing to be"));
            };
            sys::dup_to(fd.as_fd(), number).context(what)?;
        }
        if slave.is_some() {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin()).context(what)?;
        }
        std::mem::forget(self.stdio);
        let (control, master) = keep_two(self.control, found.terminal)?;
        let last = Last {
            process: &self.process,
            identity: &found.identity,
            seccomp: self.seccomp.as_ref(),
        };
        match last.execute(control.as_fd(), master) {
            Ok(never) => match never {},
            Err(failure) => report(control.as_fd(), &failure),
        }
    }
}

/// Reports the failure of a child and ends it.
pub(crate) fn report(control: BorrowedFd<'_>, failure: &Failure) -> ! {
    control::fail(control, failure);
    sys::exit_now(1)
}

/// The part after which nothing of the agent's is open any more but the control socket.
struct Last<'a> {
    process: &'a Process,
    identity: &'a Identity,
    seccomp: Option<&'a Program>,
}

impl Last<'_> {
    fn execute(&self, control: BorrowedFd<'_>, master: Option<i32>) -> Result<Infallible> {
        let process = self.process;
        rlimits::apply(&process.rlimits)?;
        if process.no_new_privileges {
            rustix::thread::set_no_new_privs(true).context(|| "set no_new_privs".into())?;
        } else if let Some(seccomp) = self.seccomp {
            // Needs CAP_SYS_ADMIN; everything from here on must be allowed by the profile.
            seccomp.load()?;
        }
        let mut environment = program::environment(&process.env)?;
        become_user(process, self.identity)?;
        if program::variable(&environment, "HOME").is_none_or(str::is_empty) {
            let home = format!("HOME={}", self.identity.home);
            program::set(&mut environment, "HOME", &home);
        }
        let Some(name) = process.args.first() else {
            return Err(Failure::invalid("args must not be empty"));
        };
        let path = program::variable(&environment, "PATH").unwrap_or_default();
        let path = program::look_up(name, path)?;
        let arguments = program::c_strings(&process.args)?;
        let environment = program::c_strings(&environment)?;
        let program = CString::new(path.as_str())
            .map_err(|_| Failure::invalid(format!("{} contains a null byte", quoted(&path))))?;
        if !control::ready(control, master) {
            sys::exit_now(1);
        }
        if let Some(seccomp) = self.seccomp.filter(|_| process.no_new_privileges) {
            seccomp.load()?;
        }
        let errno = sys::execve(&program, &arguments, &environment);
        // The process counts as started by now: like runc's init, it tells its standard error.
        let message = format!("exec {path}: {}\n", errno_text(errno));
        let _ = rustix::io::write(rustix::stdio::stderr(), message.as_bytes());
        sys::exit_now(1)
    }
}

/// Moves the control socket to descriptor 3 and a terminal's master to 4, and closes all above:
/// a descriptor of the agent's that stays open is a way out of the container.
fn keep_two(control: OwnedFd, terminal: Option<Terminal>) -> Result<(OwnedFd, Option<i32>)> {
    let what = || "set up descriptors".to_owned();
    // High first: one may hold the number that the other is to have.
    let high = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 100);
    let control_high = high(&control).context(what)?;
    let master_high = match &terminal {
        Some(terminal) => Some(high(&terminal.master).context(what)?),
        None => None,
    };
    std::mem::forget((control, terminal));
    sys::dup_to(control_high.as_fd(), 3).context(what)?;
    let mut first = 4;
    if let Some(master) = &master_high {
        sys::dup_to(master.as_fd(), 4).context(what)?;
        first = 5;
    }
    std::mem::forget((control_high, master_high));
    sys::close_from(first).context(what)?;
    let control = sys::adopt(3).context(what)?;
    if first == 5 {
        std::mem::forget(sys::adopt(4).context(what)?);
    }
    Ok((control, (first == 5).then_some(4)))
}

fn become_user(process: &Process, identity: &Identity) -> Result<()> {
    let cwd = match process.cwd.as_str() {
        "" => "/",
        cwd => cwd,
    };
    if !cwd.starts_with('/') {
        return Err(Failure::failed("Cwd must be an absolute path"));
    }
    let chdir = || rustix::process::chdir(cwd);
    let failed = || format!("chdir to cwd ({}) set in config.json failed", quoted(cwd));
    // Tried as root first; a directory that only the user may enter (NFS) is tried again below.
    let entered = chdir();
    match entered {
        Ok(()) | Err(Errno::ACCESS) => {}
        Err(errno) => return Err(errno).context(failed),
    }
    let capabilities = process.capabilities.as_ref().map(Sets::new);
    if let Some(sets) = &capabilities {
        sets.apply_bounding();
        rustix::thread::set_keep_capabilities(true).context(|| "keep capabilities".into())?;
    }
    own_streams(identity.uid);
    sys::set_groups(&identity.groups).context(|| "setgroups".into())?;
    sys::set_gid(identity.gid).context(|| "setgid".into())?;
    sys::set_uid(identity.uid).context(|| "setuid".into())?;
    if entered.is_err() {
        chdir().context(failed)?;
    }
    // A path that leads outside, through a descriptor for example, has no name in here.
    let inside = rustix::process::getcwd(Vec::new()).is_ok_and(|cwd| cwd.to_bytes()[0] == b'/');
    if !inside {
        return Err(Failure::failed(
            "current working directory is outside of container mount namespace root -- possible \
             container breakout detected",
        ));
    }
    if let Some(sets) = &capabilities {
        rustix::thread::set_keep_capabilities(false).context(|| "clear keep_caps".into())?;
        sets.apply()?;
    }
    let umask = process.user.umask.unwrap_or(0o022);
    rustix::process::umask(Mode::from_raw_mode(umask & 0o777));
    Ok(())
}

/// Gives the standard streams to the user, so that /dev/stdout can be opened again.
fn own_streams(uid: u32) {
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let Ok(stat) = rustix::fs::fstat(fd) else {
            continue;
        };
        if stat.st_uid == uid || stat.st_rdev == rustix::fs::makedev(1, 3) {
            continue;
        }
        // As in runc, refusal (a read-only file system) is no error.
        let _ = rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), None::<Gid>);
    }
}

/// Opens the container's /dev/null, the agent's if the container's is something else.
pub(crate) fn null(root: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let is_null = |stat: &Stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && stat.st_rdev == rustix::fs::makedev(1, 3)
    };
    if let Ok(Some(null)) = open_if(root, "/dev/null", OFlags::RDWR, is_null) {
        rustix::io::ioctl_fionbio(&null, false)?;
        return Ok(null);
    }
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

/// Makes the working directory if the image has none of that name, as Docker does.
pub(crate) fn make_working_directory(root: BorrowedFd<'_>, cwd: &str) -> Result<()> {
    if matches!(cwd, "" | "/") {
        return Ok(());
    }
    let what = || format!("mkdir {cwd}");
    let directory = resolve_or_create(root, cwd, false).context(what)?;
    match is_directory(directory).context(what)? {
        true => Ok(()),
        false => Err(Failure::invalid(format!("Cannot mkdir: {cwd} is not a directory"))),
    }
}

/// Largest passwd or group file that is read, in bytes.
pub(crate) const FILE_LIMIT: u64 = 8 << 20;
