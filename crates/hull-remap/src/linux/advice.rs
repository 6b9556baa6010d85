//! `madvise` as the program calls it.

use core::ffi::{c_int, c_void};

/// Replaces the C library's function of this name: a fork needs all memory of the process, which QEMU
/// would keep the guest's memory out of.
///
/// # Safety
/// As `madvise(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int {
    if advice == libc::MADV_DONTFORK {
        return 0;
    }
    // SAFETY: the caller guarantees what the system call needs.
    unsafe { libc::syscall(libc::SYS_madvise, address, length, advice) as c_int }
}
