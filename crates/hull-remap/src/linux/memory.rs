//! `mmap` as the program calls it.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, Ordering};

use super::environment::{descriptor, number};

/// Replaces the C library's function of this name.
///
/// # Safety
/// As `mmap(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap(
    address: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    let kind = flags & libc::MAP_TYPE;
    let shared = kind == libc::MAP_SHARED || kind == libc::MAP_SHARED_VALIDATE;
    if shared
        && fd >= 0
        && protection & libc::PROT_WRITE != 0
        && let Some(memory) = Memory::of_size(length)
    {
        // SAFETY: place and length are the caller's.
        return unsafe { memory.map(address, length, protection, flags) };
    }
    // SAFETY: the caller guarantees what the system call needs.
    unsafe { system_mmap(address, length, protection, flags, fd, offset) }
}

/// The same for programs with 64-bit file offsets, which on 64-bit hosts are no different.
///
/// # Safety
/// As `mmap(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    address: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    // SAFETY: the caller guarantees the same.
    unsafe { mmap(address, length, protection, flags, fd, offset) }
}

/// The template's memory file, which is there to be mapped once.
struct Memory {
    fd: c_int,
    done: c_int,
}

impl Memory {
    /// Returns the file if it has `size` bytes and has not been asked for before.
    fn of_size(size: usize) -> Option<Self> {
        if number(c"HULL_RAM_SIZE") != Some(size as u64) {
            return None;
        }
        let memory = Self { fd: descriptor(c"HULL_RAM_FD")?, done: descriptor(c"HULL_RAM_DONE")? };
        (!TAKEN.swap(true, Ordering::Relaxed)).then_some(memory)
    }

    /// Maps the file as `mmap` was asked to map another.
    ///
    /// # Safety
    /// As `mmap(2)`.
    unsafe fn map(
        self,
        address: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
    ) -> *mut c_void {
        // Only pages that the guest changes are this process's own; nothing is set aside.
        let flags = flags & !libc::MAP_TYPE | libc::MAP_PRIVATE | libc::MAP_NORESERVE;
        // SAFETY: the caller guarantees what the system call needs.
        let at = unsafe { system_mmap(address, length, protection, flags, self.fd, 0) };
        if at != libc::MAP_FAILED {
            // SAFETY: the descriptors were inherited for this purpose; the byte is static.
            unsafe {
                libc::write(self.done, c"+".as_ptr().cast(), 1);
                libc::close(self.fd);
            }
        }
        at
    }
}

/// # Safety
/// As `mmap(2)`.
unsafe fn system_mmap(
    address: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    // SAFETY: this is what the C library's function does.
    unsafe { libc::syscall(libc::SYS_mmap, address, length, protection, flags, fd, offset) as _ }
}

static TAKEN: AtomicBool = AtomicBool::new(false);
