//! What a fork may not do any more.
//!
//! QEMU's own sandbox forbids new processes as well, which a machine that is to be forked cannot
//! have. Its forks, which run what nobody trusts, at least execute no program.

use core::mem::offset_of;

use super::system::checked;
use super::{Result, system};

/// Forbids the calling thread, and all threads that it makes, to execute programs.
pub(super) fn close() -> Result<()> {
    let data = offset_of!(libc::seccomp_data, nr) as u32;
    let arch = offset_of!(libc::seccomp_data, arch) as u32;
    let mut filter = [
        load(arch),
        // Another architecture's system calls have other numbers.
        jump_if(AUDIT_ARCH_X86_64, 1, 0),
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        load(data),
        jump_if(libc::SYS_execve as u32, 2, 0),
        jump_if(libc::SYS_execveat as u32, 1, 0),
        jump_from(X32, 0, 1),
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: it has no conditions.
    checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
    // SAFETY: the program is there while the call lasts.
    let closed =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program, 0, 0) };
    system::checked(closed.into()).map(drop)
}

const fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

/// Skips `yes` instructions if the value is `k`, else `no`.
const fn jump_if(k: u32, yes: u8, no: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, yes, no, k)
}

/// Skips `yes` instructions if the value is `k` or more, else `no`.
const fn jump_from(k: u32, yes: u8, no: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, yes, no, k)
}

const fn answer(k: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, k)
}

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// `AUDIT_ARCH_X86_64` of `linux/audit.h`.
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// The first number of the x32 system calls.
const X32: u32 = 0x4000_0000;
