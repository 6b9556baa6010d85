//! `mmap` as the program calls it.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

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
    let (mut flags, mut fd, mut offset) = (flags, fd, offset);
    let kind = flags & libc::MAP_TYPE;
    let shared = kind == libc::MAP_SHARED || kind == libc::MAP_SHARED_VALIDATE;
    if shared
        && fd >= 0
        && protection & libc::PROT_WRITE != 0
        && let Some(memory) = memory()
        && length == memory.size
    {
        // Only pages that the guest changes are this process's own; nothing is set aside.
        flags = flags & !libc::MAP_TYPE | libc::MAP_PRIVATE | libc::MAP_NORESERVE;
        fd = memory.fd;
        offset = 0;
    }
    // SAFETY: the system call is what the C library's function is; what the caller guarantees for
    // that holds for it. The replaced mapping has the same place and length.
    unsafe { libc::syscall(libc::SYS_mmap, address, length, protection, flags, fd, offset) as _ }
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

/// The template's memory file.
struct Memory {
    fd: c_int,
    size: usize,
}

/// Returns what the environment says; it is read once, since `mmap` runs in every thread.
fn memory() -> Option<Memory> {
    if FD.load(Ordering::Acquire) == UNREAD {
        let fd = number(c"HULL_RAM_FD").and_then(|fd| c_int::try_from(fd).ok());
        let size = number(c"HULL_RAM_SIZE").and_then(|size| usize::try_from(size).ok());
        SIZE.store(size.unwrap_or(0), Ordering::Relaxed);
        let fd = if size.is_some() { fd } else { None };
        FD.store(fd.map_or(NONE, i64::from), Ordering::Release);
    }
    let fd = c_int::try_from(FD.load(Ordering::Acquire)).ok().filter(|fd| *fd >= 0)?;
    Some(Memory { fd, size: SIZE.load(Ordering::Relaxed) })
}

fn number(name: &CStr) -> Option<u64> {
    // SAFETY: the name ends with a zero byte. QEMU changes its environment nowhere.
    let mut at: *const c_char = unsafe { libc::getenv(name.as_ptr()) };
    if at.is_null() {
        return None;
    }
    let mut value = 0_u64;
    loop {
        // SAFETY: `at` is inside the string, or at the zero byte that ends it.
        let byte = unsafe { *at } as u8;
        match byte {
            0 => return Some(value),
            b'0'..=b'9' => value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?,
            _ => return None,
        }
        // SAFETY: the byte there is not the last.
        at = unsafe { at.add(1) };
    }
}

static FD: AtomicI64 = AtomicI64::new(UNREAD);
static SIZE: AtomicUsize = AtomicUsize::new(0);
const UNREAD: i64 = -2;
const NONE: i64 = -1;
