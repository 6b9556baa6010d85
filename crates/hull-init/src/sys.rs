//! System calls that rustix has no safe wrapper for.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_ulong};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::io::{Errno, Result};

/// What [`clone3`] returned: in the parent the child's number and pidfd.
pub(crate) enum Fork {
    Child,
    Parent { pid: i32, pidfd: OwnedFd },
}

/// The constant of the libc crate is too narrow.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks with the `CLONE_NEW*` flags given, into `cgroup` if there is one.
pub(crate) fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Fork> {
    let mut pidfd: c_int = -1;
    let mut args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM: the child has a copy of this single-threaded process's memory, and may
    // go on as after fork(2). `args` and `pidfd` live until the call returns.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    match check(pid)? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent {
            pid: pid as i32,
            // SAFETY: CLONE_PIDFD made the kernel store a new descriptor there.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// setns(2): `flags` are `CLONE_NEW*` if `fd` is a pidfd.
pub(crate) fn setns(fd: BorrowedFd<'_>, flags: c_int) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::setns(fd.as_raw_fd(), flags) } as c_long).map(drop)
}

/// unshare(2).
pub(crate) fn unshare(flags: c_int) -> Result<()> {
    // SAFETY: no pointers; the process is single-threaded.
    check(unsafe { libc::unshare(flags) } as c_long).map(drop)
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: c_int) -> Result<()> {
    // SAFETY: the caller is a forked child that uses none of them any more and only leaves by
    // execve(2) or _exit(2), so that no owner of one runs its destructor.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, c_int::MAX, 0) }).map(drop)
}

/// Closes every descriptor from 3 on that is not in `keep`; for forked children as `close_from`.
pub(crate) fn close_except(keep: &[BorrowedFd<'_>]) -> Result<()> {
    let mut numbers: Vec<c_int> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    numbers.sort_unstable();
    let mut first = 3;
    for number in numbers {
        if number > first {
            // SAFETY: as in `close_from`.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, number - 1, 0) })?;
        }
        first = first.max(number + 1);
    }
    close_from(first)
}

/// Makes descriptor number `to` a copy of `from`, kept across execve(2).
pub(crate) fn dup_to(from: BorrowedFd<'_>, to: c_int) -> Result<()> {
    if from.as_raw_fd() == to {
        // SAFETY: no pointers.
        return check(unsafe { libc::fcntl(to, libc::F_SETFD, 0) } as c_long).map(drop);
    }
    // SAFETY: the caller is a forked child that owns its descriptor table (see `close_from`).
    check(unsafe { libc::dup2(from.as_raw_fd(), to) } as c_long).map(drop)
}

/// Ends a forked child at once, with no destructors.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(code) }
}

/// execve(2); returns only if it failed.
pub(crate) fn execve(program: &CStr, args: &[CString], env: &[CString]) -> Errno {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        let all = strings.iter().map(|s| s.as_ptr());
        all.chain([ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with a null pointer, and their strings are borrowed by this call.
    let failed = unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    check(failed as c_long).err().unwrap_or(Errno::INVAL)
}

/// Blocks exactly `signals`, and returns a signalfd for them.
pub(crate) fn signalfd(signals: &[c_int]) -> Result<OwnedFd> {
    // SAFETY: an all-zero sigset_t is valid, and the calls only write to it.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) as c_long)?;
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        let fd = check(libc::signalfd(-1, &raw const set, flags) as c_long)?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Gives a forked child what a new process has: no signal blocked, SIGPIPE (which Rust's runtime
/// ignores) fatal.
pub(crate) fn reset_signals() {
    // SAFETY: as in `signalfd`.
    unsafe {
        let set: libc::sigset_t = zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Blocks all signals and waits for one; used by the small init only.
pub(crate) fn block_all_signals() -> libc::sigset_t {
    // SAFETY: as in `signalfd`.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigfillset(&raw mut set);
        for signal in [
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGABRT,
            libc::SIGTRAP,
            libc::SIGSYS,
            libc::SIGTTIN,
            libc::SIGTTOU,
        ] {
            libc::sigdelset(&raw mut set, signal);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut());
        set
    }
}

/// Waits for a signal of `set` and returns its number; `None` if interrupted.
pub(crate) fn wait_signal(set: &libc::sigset_t) -> Option<c_int> {
    let mut signal = 0;
    // SAFETY: both pointers are to live values.
    let result = unsafe { libc::sigwait(set, &raw mut signal) };
    (result == 0).then_some(signal)
}

/// Ignores or restores the default of a signal.
pub(crate) fn ignore_signal(signal: c_int, ignore: bool) {
    let action = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: SIG_IGN and SIG_DFL are valid actions.
    unsafe { libc::signal(signal, action) };
}

/// fork(2) for the small init.
pub(crate) fn fork() -> Result<i32> {
    // SAFETY: the process is single-threaded.
    check(unsafe { libc::fork() } as c_long).map(|pid| pid as i32)
}

/// kill(2) with any signal number; `pid` as there.
pub(crate) fn kill(pid: i32, signal: c_int) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(pid, signal) } as c_long).map(drop)
}

/// pidfd_send_signal(2) with any signal number.
pub(crate) fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: c_int) -> Result<()> {
    let info = ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) })
        .map(drop)
}

/// prctl(2) with two integer arguments.
pub(crate) fn prctl(option: c_int, a: c_ulong, b: c_ulong) -> Result<c_long> {
    let zero: c_ulong = 0;
    // SAFETY: callers pass options without pointer arguments only.
    check(unsafe { libc::prctl(option, a, b, zero, zero) } as c_long)
}

/// Sets permitted, effective and inheritable capabilities of this process.
pub(crate) fn capset(permitted: u64, effective: u64, inheritable: u64) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let half = |bits: u64, high: bool| (if high { bits >> 32 } else { bits }) as u32;
    let mut data = [0_u32; 6];
    for (index, high) in [(0, false), (3, true)] {
        data[index] = half(effective, high);
        data[index + 1] = half(permitted, high);
        data[index + 2] = half(inheritable, high);
    }
    // SAFETY: header and data have the layout of capset(2) version 3.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) }).map(drop)
}

/// Sets supplementary groups, then all group and user numbers.
pub(crate) fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: pointer and length are of one slice.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

pub(crate) fn set_gid(gid: u32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

pub(crate) fn set_uid(uid: u32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// setrlimit(2).
pub(crate) fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is live; a null old limit is allowed.
    check(unsafe {
        let old = ptr::null_mut::<libc::rlimit64>();
        libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, old)
    })
    .map(drop)
}

/// Loads a seccomp program (`struct sock_filter[]`) with the `SECCOMP_FILTER_FLAG_*` given.
pub(crate) fn seccomp(program: &[u8], flags: c_ulong) -> Result<()> {
    let instructions: Vec<u64> =
        program.as_chunks::<8>().0.iter().map(|chunk| u64::from_ne_bytes(*chunk)).collect();
    let program = libc::sock_fprog {
        len: u16::try_from(instructions.len()).map_err(|_| Errno::INVAL)?,
        filter: instructions.as_ptr() as *mut libc::sock_filter,
    };
    const SECCOMP_SET_MODE_FILTER: c_ulong = 1;
    // SAFETY: `filter` points to `len` instructions of 8 bytes that live until the call returns.
    check(unsafe {
        libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })
    .map(drop)
}

#[repr(C, align(8))]
struct BpfLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    zero: [u64; 14],
}

#[repr(C, align(8))]
struct BpfAttach {
    target_fd: u32,
    program_fd: u32,
    kind: u32,
    flags: u32,
    zero: [u64; 4],
}

/// Loads a device filter (BPF_PROG_TYPE_CGROUP_DEVICE) and attaches it to `cgroup`.
pub(crate) fn attach_device_filter(cgroup: BorrowedFd<'_>, program: &[u64]) -> Result<()> {
    const BPF_PROG_LOAD: c_int = 5;
    const BPF_PROG_ATTACH: c_int = 8;
    const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
    const BPF_CGROUP_DEVICE: u32 = 6;
    const BPF_F_ALLOW_MULTI: u32 = 2;
    let load = BpfLoad {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        zero: [0; 14],
    };
    // SAFETY: the attribute's layout is that of bpf(2); its pointers outlive the call.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<BpfLoad>())
    })?;
    // SAFETY: the kernel returned a new descriptor.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as c_int) };
    let attach = BpfAttach {
        target_fd: cgroup.as_raw_fd() as u32,
        program_fd: fd.as_raw_fd() as u32,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
        zero: [0; 4],
    };
    // SAFETY: as above.
    check(unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<BpfAttach>())
    })
    .map(drop)
}

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Sets `MOUNT_ATTR_*` flags of the mount that `fd` is in, of all below it if `recursive`.
pub(crate) fn mount_setattr(
    fd: BorrowedFd<'_>,
    set: u64,
    clear: u64,
    recursive: bool,
) -> Result<()> {
    let attributes = MountAttributes { set, clear, propagation: 0, user_namespace: 0 };
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: an empty path with AT_EMPTY_PATH; the attributes outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
}

/// Credits `entropy` to the kernel's random number generator and makes it reseed at once.
pub(crate) fn add_entropy(random: BorrowedFd<'_>, entropy: &[u8]) -> Result<()> {
    const RNDADDENTROPY: c_ulong = 0x4008_5203;
    const RNDRESEEDCRNG: c_ulong = 0x5207;
    let mut info: Vec<u8> = Vec::with_capacity(8 + entropy.len());
    info.extend_from_slice(&((entropy.len() * 8) as c_int).to_ne_bytes());
    info.extend_from_slice(&(entropy.len() as c_int).to_ne_bytes());
    info.extend_from_slice(entropy);
    // SAFETY: `info` is a `struct rand_pool_info` whose buffer follows it; the second ioctl has no
    // argument.
    unsafe {
        check(libc::ioctl(random.as_raw_fd(), RNDADDENTROPY as _, info.as_ptr()) as c_long)?;
        check(libc::ioctl(random.as_raw_fd(), RNDRESEEDCRNG as _) as c_long).map(drop)
    }
}

/// Sets the wall clock to `seconds` and `nanoseconds` since 1970.
pub(crate) fn set_clock(seconds: i64, nanoseconds: i64) -> Result<()> {
    let time = libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    // SAFETY: `time` is live.
    check(unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const time) } as c_long).map(drop)
}

/// Sets a network interface up.
pub(crate) fn interface_up(socket: BorrowedFd<'_>, name: &str) -> Result<()> {
    let mut request = interface_request(name);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as _;
    // SAFETY: SIOCSIFFLAGS reads a `struct ifreq`.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    check(result as c_long).map(drop)
}

/// Has the kernel look at the carrier of an interface that has just been set up, as `ethtool` does
/// (`ETHTOOL_GLINK`). By itself it does so within a second, and says until then that there is none.
pub(crate) fn look_at_carrier(socket: BorrowedFd<'_>, name: &str) -> Result<()> {
    /// `struct ethtool_value`.
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    const ETHTOOL_GLINK: u32 = 0x0a;
    const SIOCETHTOOL: c_long = 0x8946;
    let mut value = Value { command: ETHTOOL_GLINK, data: 0 };
    let mut request = interface_request(name);
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: SIOCETHTOOL reads a `struct ifreq`, and writes the `struct ethtool_value` that it
    // points to, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw const request) };
    check(result as c_long).map(drop)
}

/// Returns a request about the interface called `name`.
fn interface_request(name: &str) -> libc::ifreq {
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(15)) {
        *to = from as c_char;
    }
    request
}

/// keyctl(KEYCTL_JOIN_SESSION_KEYRING): a session keyring of the process's own.
pub(crate) fn join_session_keyring(name: &CStr) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_long = 1;
    // SAFETY: the name is a C string that outlives the call.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) })
        .map(drop)
}

/// Takes ownership of descriptor number `number` of a forked child, closed by execve(2) from now on.
pub(crate) fn adopt(number: c_int) -> Result<OwnedFd> {
    // SAFETY: F_SETFD takes an integer; the caller put this descriptor there and nothing else in
    // the child knows it.
    unsafe {
        check(libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) as c_long)?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

/// Makes the process group of the caller the foreground one of its terminal, if it has one.
pub(crate) fn take_foreground() -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::tcsetpgrp(0, libc::getpgrp()) } as c_long).map(drop)
}

/// Returns the kernel's messages, the last 64 KiB of them.
pub(crate) fn kernel_log() -> Vec<u8> {
    const SYSLOG_ACTION_READ_ALL: c_int = 3;
    let mut buffer = vec![0_u8; 64 << 10];
    let length = buffer.len() as c_int;
    // SAFETY: the kernel writes at most `length` bytes to the buffer.
    let read = unsafe { libc::klogctl(SYSLOG_ACTION_READ_ALL, buffer.as_mut_ptr().cast(), length) };
    buffer.truncate(usize::try_from(read).unwrap_or(0));
    buffer
}

/// Maps `length` bytes of `file` as the kernel maps a program, and touches every page: the first half
/// as code is, the second as data.
pub(crate) fn touch_as_program(file: BorrowedFd<'_>, length: usize) -> Result<()> {
    const PAGE: usize = 4096;
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // SAFETY: the kernel chooses where; nobody else knows of the mapping.
    unsafe {
        let fd = file.as_raw_fd();
        let start = libc::mmap(ptr::null_mut(), length, protection, libc::MAP_PRIVATE, fd, 0);
        check(start as c_long)?;
        for offset in (0..length).step_by(PAGE) {
            let byte = start.cast::<u8>().add(offset);
            let value = byte.read_volatile();
            if offset >= length / 2 {
                byte.write_volatile(value);
            }
        }
        // What is data once it has been relocated.
        libc::mprotect(start, PAGE, libc::PROT_READ);
        libc::munmap(start, length);
    }
    Ok(())
}

fn check(result: c_long) -> Result<c_long> {
    if result < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error();
        return Err(Errno::from_raw_os_error(errno.unwrap_or(libc::EINVAL)));
    }
    Ok(result)
}
