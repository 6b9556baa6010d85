//! A program of an image that is run for practice before there is a container: what it reads is in
//! memory then, and an emulator has translated what it executes.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use hull_protocol::{Reply, Trial};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountAttrFlags, MountFlags};

use crate::agent::Agent;
use crate::container::mounts::clone_path;
use crate::container::program;
use crate::container::seccomp::Program;
use crate::container::spawn;
use crate::failure::{Context, Failure, Result};
use crate::sys::{self, Fork};
use crate::tasks::enter;

impl Agent {
    /// Mounts the image of a trial for as long as the machine lives, and runs the program.
    pub(crate) fn try_image(&mut self, number: u32, trial: &Trial) -> Result<Option<Reply>> {
        let seccomp = Program::decode(&trial.seccomp, &[])?;
        let image = self.disks.acquire(&trial.image, &trial.image_type, MountFlags::RDONLY)?;
        let tried = harmless(&image).and_then(|root| {
            self.task(number, None, &[root.as_fd()], || {
                run(&root, trial, &seccomp)?;
                Ok(Reply::Done)
            })
        });
        if tried.is_err() {
            self.disks.release(&trial.image)?;
        }
        tried
    }
}

/// Returns the file system mounted at `path` as one without devices.
fn harmless(path: &str) -> Result<OwnedFd> {
    let tree = clone_path(path).context(|| format!("open {path}"))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    sys::mount_setattr(tree.as_fd(), attributes.bits().into(), 0, false)
        .context(|| format!("change the mount of {path}"))?;
    Ok(tree)
}

/// Runs the program to its end, or that of its time.
fn run(root: &OwnedFd, trial: &Trial, seccomp: &Program) -> Result<()> {
    match sys::clone3(0, None).context(|| "clone".into())? {
        Fork::Child => {
            // Whatever it fails at, a container will say.
            let _ = execute(root, trial, seccomp);
            sys::exit_now(1)
        }
        Fork::Parent { pid, pidfd } => {
            let limit = Timespec {
                tv_sec: (trial.limit_ms / 1000) as i64,
                tv_nsec: (trial.limit_ms % 1000 * 1_000_000) as i64,
            };
            let mut ended = [PollFd::new(&pidfd, PollFlags::IN)];
            let _ = poll(&mut ended, Some(&limit));
            spawn::abandon(pid, &pidfd);
            Ok(())
        }
    }
}

fn execute(root: &OwnedFd, trial: &Trial, seccomp: &Program) -> Result<Infallible> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .context(|| "open /dev/null".into())?;
    for number in 0..=2 {
        sys::dup_to(null.as_fd(), number).context(|| "dup2".into())?;
    }
    sys::reset_signals();
    enter(root)?;
    // A container makes its own; at the root otherwise.
    let _ = rustix::process::chdir(trial.directory.as_str());
    for (limit, value) in LIMITS {
        sys::set_rlimit(limit, value, value).context(|| "setrlimit".into())?;
    }
    let null_byte = |_| Failure::invalid("null byte in a program's name");
    let path = CString::new(program::look_up(&trial.program, &trial.path)?).map_err(null_byte)?;
    let arguments = program::c_strings(std::slice::from_ref(&trial.program))?;
    let environment = program::c_strings(&[format!("PATH={}", trial.path)])?;
    rustix::thread::set_no_new_privs(true).context(|| "set no_new_privs".into())?;
    seccomp.load()?;
    Err(sys::execve(&path, &arguments, &environment)).context(|| "execve".into())
}

/// What it may have: no core file, seconds of processor time, bytes of memory of its own.
const LIMITS: [(u32, u64); 3] =
    [(libc::RLIMIT_CORE, 0), (libc::RLIMIT_CPU, 2), (libc::RLIMIT_DATA, 64 << 20)];
