//! A program of an image that is run for practice in a machine that waits for a container of that
//! image.
//!
//! It has the image's files, to read, and nothing else: no container's arguments, environment,
//! files, network or processes. It is ended where it would begin to have an effect. The machine is
//! used for containers of this image only, so that no image's program can do anything to another's
//! container, whatever it finds to do with the few system calls that it has.

use std::time::Duration;

use hull_guest::Guest;
use hull_protocol::{Request, Trial};
use hull_vmm::{Disk, Machine, Slot};
use serde_json::json;
use tokio::time::timeout;

use crate::launch::TrialLaunch;

use super::context::chain;

/// Gives the machine the image and has it run the program. Returns whether the machine has the
/// image now; it may not.
pub(super) async fn run(
    machine: &mut impl Machine,
    guest: &Guest,
    launch: &TrialLaunch,
    arch: &str,
) -> bool {
    let Some(trial) = request(launch, arch) else { return false };
    let disk = Disk::at(&launch.image);
    if let Err(error) = machine.attach_disk(Slot::Image, &disk).await {
        tracing::debug!(error = chain(&error), "an image cannot be tried");
        return false;
    }
    let tried = guest.send(&Request::Try(Box::new(trial)));
    match timeout(PATIENCE, tried.done()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(error = chain(&error), "an image was not tried");
            machine.attach_disk(Slot::Image, &Disk::Placeholder).await.is_err()
        }
        // It has the image, whatever it does with it.
        Err(_) => true,
    }
}

fn request(launch: &TrialLaunch, arch: &str) -> Option<Trial> {
    let allow = |name: &str, index: u32, value: u64| {
        let argument = json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" });
        json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument] })
    };
    let mut rules = vec![
        json!({ "names": HARMLESS, "action": "SCMP_ACT_ALLOW" }),
        json!({ "names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOTTY }),
        // Its own limits.
        allow("prlimit64", 0, 0),
    ];
    let commands = [F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC];
    rules.extend(commands.map(|command| allow("fcntl", 1, command)));
    let profile = json!({ "defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": rules });
    let spec = serde_json::value::to_raw_value(&json!({ "linux": { "seccomp": profile } })).ok()?;
    let (_, seccomp) = hull_guest::seccomp::extract(&spec, arch).ok()?;
    Some(Trial {
        image: Slot::Image.name().to_owned(),
        image_type: launch.image_type.clone(),
        program: launch.program.clone(),
        path: launch.path.clone(),
        directory: launch.directory.clone(),
        seccomp: seccomp?,
        limit_ms: LIMIT.as_millis() as u64,
    })
}

/// What a program does until it begins with its work, and what is nobody else's business. What it
/// can open cannot be written to: its files are read-only, and no device is among them.
const HARMLESS: &[&str] = &[
    "access",
    "arch_prctl",
    "brk",
    "capget",
    "chdir",
    "clock_getres",
    "clock_gettime",
    "close",
    "dup",
    "dup2",
    "dup3",
    "epoll_create1",
    "epoll_ctl",
    "eventfd2",
    "execve",
    "exit",
    "exit_group",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fchdir",
    "fstat",
    "fstatfs",
    "futex",
    "getcwd",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgrp",
    "getpid",
    "getppid",
    "getrandom",
    "getrlimit",
    "getrusage",
    "gettid",
    "gettimeofday",
    "getuid",
    "lseek",
    "lstat",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "newfstatat",
    "open",
    "openat",
    "pipe2",
    "pkey_alloc",
    "pread64",
    "pwrite64",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "stat",
    "statfs",
    "sysinfo",
    "times",
    "umask",
    "uname",
    "write",
    "writev",
];
/// Commands of fcntl(2) that are: all but those by which it would have somebody else be sent signals.
const F_DUPFD: u64 = 0;
const F_GETFD: u64 = 1;
const F_SETFD: u64 = 2;
const F_GETFL: u64 = 3;
const F_DUPFD_CLOEXEC: u64 = 1030;
const ENOTTY: u32 = 25;
/// What the program may take, and what all of it may take.
const LIMIT: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_its_filter() {
        let launch = TrialLaunch {
            image: "/images/disk.vmdk".into(),
            image_type: "erofs".into(),
            program: "true".into(),
            path: "/bin".into(),
            directory: "/".into(),
        };
        for arch in ["x86_64", "aarch64"] {
            let trial = request(&launch, arch).unwrap();
            assert!(!trial.seccomp.is_empty());
            assert_eq!(trial.image, "image");
        }
        assert!(request(&launch, "vax").is_none());
    }

    #[test]
    fn nothing_that_others_notice_is_harmless() {
        for name in ["kill", "clone", "socket", "mount", "ptrace", "fcntl", "prlimit64", "bpf"] {
            assert!(!HARMLESS.contains(&name));
        }
    }
}
