//! System calls.

use core::ffi::{CStr, c_int, c_long, c_void};
use core::mem::{size_of, zeroed};
use core::sync::atomic::AtomicU32;

use super::Result;
use super::wire::MOST;

/// Why a system call failed.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Errno(pub(super) c_int);

impl Errno {
    pub(super) fn last() -> Self {
        // SAFETY: it is the calling thread's own.
        Self(unsafe { *libc::__errno_location() })
    }

    /// Makes this the calling thread's last failure.
    pub(super) fn set(self) {
        // SAFETY: it is the calling thread's own.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

/// Returns what a system call returned, or why it failed.
pub(super) fn checked(returned: c_long) -> Result<c_long> {
    if returned < 0 { Err(Errno::last()) } else { Ok(returned) }
}

pub(super) fn thread_id() -> c_int {
    // SAFETY: it has no conditions.
    unsafe { libc::syscall(libc::SYS_gettid) as c_int }
}

pub(super) fn process_id() -> c_int {
    // SAFETY: it has no conditions.
    unsafe { libc::syscall(libc::SYS_getpid) as c_int }
}

/// Ends the process at once.
pub(super) fn exit() -> ! {
    // SAFETY: it has no conditions.
    unsafe { libc::_exit(1) }
}

pub(super) fn close(fd: c_int) {
    // SAFETY: descriptors that this library closes are its own, or were exchanged.
    unsafe { libc::close(fd) };
}

pub(super) fn thread_exists(thread: c_int) -> bool {
    // SAFETY: no signal is sent.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process_id(), thread, 0) };
    checked(sent) != Err(Errno(libc::ESRCH))
}

/// Waits while `value` is `expected`, for so many milliseconds at most.
pub(super) fn futex_wait(value: &AtomicU32, expected: u32, milliseconds: u32) {
    let limit = libc::timespec {
        tv_sec: i64::from(milliseconds / 1000),
        tv_nsec: i64::from(milliseconds % 1000) * 1_000_000,
    };
    // SAFETY: the value is there; whoever waits looks at it again.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            value.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            &limit,
        );
    }
}

/// Wakes all that wait for `value`.
pub(super) fn futex_wake(value: &AtomicU32) {
    // SAFETY: the value is there.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            value.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            i32::MAX,
        );
    }
}

/// Where the C library has an area for restartable sequences in every thread, from the thread
/// pointer on (`rseq(2)`); `None` if it has none.
pub(super) fn restartable_sequences() -> Option<isize> {
    // SAFETY: both names are numbers of the C library, if it has them.
    unsafe {
        let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>();
        let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>();
        let is_used = !offset.is_null() && !size.is_null() && *size > 0;
        is_used.then(|| *offset)
    }
}

/// Registers the area at `address`, which is the calling thread's.
pub(super) fn register_restartable_sequences(address: usize) {
    // SAFETY: the thread keeps the area for as long as it is there. A kernel that refuses it is
    // one that had none registered before.
    unsafe { libc::syscall(libc::SYS_rseq, address, RSEQ_BYTES, 0, RSEQ_SIGNATURE) };
}

pub(super) fn accept(listener: c_int) -> Result<c_int> {
    // SAFETY: no address is asked for.
    let fd = unsafe {
        libc::accept4(listener, core::ptr::null_mut(), core::ptr::null_mut(), libc::SOCK_CLOEXEC)
    };
    checked(fd.into()).map(|fd| fd as c_int)
}

/// Has reading from and writing to a socket give up after a second: whoever connects knows at
/// once what it wants.
pub(super) fn limit_waiting(socket: c_int) {
    let second = libc::timeval { tv_sec: 1, tv_usec: 0 };
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        // SAFETY: the value is of the size that is given.
        unsafe {
            libc::setsockopt(
                socket,
                libc::SOL_SOCKET,
                option,
                core::ptr::from_ref(&second).cast(),
                size_of::<libc::timeval>() as libc::socklen_t,
            );
        }
    }
}

/// Opens a file of `/proc` for reading.
pub(super) fn open(path: &CStr, flags: c_int) -> Result<c_int> {
    // SAFETY: the path ends with a zero byte.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC | flags) };
    checked(fd.into()).map(|fd| fd as c_int)
}

/// Reads what a file begins with into `buffer`.
pub(super) fn read(fd: c_int, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is of that size.
    let read = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    checked(read as c_long).map(|read| read as usize)
}

/// Calls `visit` with every number that is a name in a directory.
pub(super) fn each_number(
    directory: c_int,
    mut visit: impl FnMut(c_int) -> Result<()>,
) -> Result<()> {
    let mut buffer = Entries([0; 4096]);
    loop {
        // SAFETY: the buffer is of that size.
        let read = checked(unsafe {
            libc::syscall(libc::SYS_getdents64, directory, buffer.0.as_mut_ptr(), 4096)
        })? as usize;
        if read == 0 {
            return Ok(());
        }
        let mut at = 0;
        while at < read {
            let length = usize::from(u16::from_ne_bytes([buffer.0[at + 16], buffer.0[at + 17]]));
            let name = &buffer.0[at + 19..at + length];
            let digits = name.iter().take_while(|byte| **byte != 0);
            let number = digits.copied().try_fold(0, |number: c_int, byte| {
                let digit = (byte as char).to_digit(10)?;
                number.checked_mul(10)?.checked_add(digit as c_int)
            });
            if let Some(number) = number {
                visit(number)?;
            }
            at += length;
        }
    }
}

/// Directory entries as `getdents64(2)` has them.
#[repr(align(8))]
struct Entries([u8; 4096]);

/// Descriptors that come with a message.
#[repr(C, align(8))]
pub(super) struct Rights {
    buffer: [u8; RIGHTS_BYTES],
    length: usize,
}

impl Rights {
    pub(super) fn new() -> Self {
        Self { buffer: [0; RIGHTS_BYTES], length: 0 }
    }

    /// Receives `length` bytes, or what there is before the end; returns how many came.
    ///
    /// # Safety
    /// `bytes` points to as many that may be written.
    pub(super) unsafe fn receive(
        &mut self,
        socket: c_int,
        bytes: *mut c_void,
        length: usize,
    ) -> Result<usize> {
        let mut vector = libc::iovec { iov_base: bytes, iov_len: length };
        // SAFETY: no bytes is a message header.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_iov = &mut vector;
        header.msg_iovlen = 1;
        header.msg_control = self.buffer.as_mut_ptr().cast();
        header.msg_controllen = RIGHTS_BYTES as _;
        let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_WAITALL;
        // SAFETY: the header describes places that are there.
        let read = unsafe { libc::recvmsg(socket, &mut header, flags) };
        let read = checked(read as c_long)?;
        self.length = header.msg_controllen as usize;
        Ok(read as usize)
    }

    /// Returns the descriptors and how many they are.
    pub(super) fn descriptors(&self) -> ([c_int; MOST], usize) {
        let mut found = [-1; MOST];
        // SAFETY: no bytes is a message header.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_control = self.buffer.as_ptr().cast_mut().cast();
        header.msg_controllen = self.length as _;
        // SAFETY: the buffer is aligned and as long as the header says.
        let first = unsafe { libc::CMSG_FIRSTHDR(&header).as_ref() };
        let Some(first) = first else { return (found, 0) };
        if first.cmsg_level != libc::SOL_SOCKET || first.cmsg_type != libc::SCM_RIGHTS {
            return (found, 0);
        }
        // SAFETY: it has no conditions.
        let head = unsafe { libc::CMSG_LEN(0) } as usize;
        let count = (first.cmsg_len - head) / size_of::<c_int>();
        for (index, place) in found.iter_mut().enumerate().take(count) {
            // SAFETY: the kernel put `count` descriptors there.
            *place = unsafe { libc::CMSG_DATA(first).cast::<c_int>().add(index).read_unaligned() };
        }
        (found, count.min(MOST))
    }
}

/// Sends `length` bytes, and a descriptor with them.
///
/// # Safety
/// `bytes` points to as many that may be read.
pub(super) unsafe fn send(
    socket: c_int,
    bytes: *const c_void,
    length: usize,
    fd: Option<c_int>,
) -> Result<()> {
    let mut vector = libc::iovec { iov_base: bytes.cast_mut(), iov_len: length };
    let mut rights = Rights::new();
    // SAFETY: no bytes is a message header.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &mut vector;
    header.msg_iovlen = 1;
    if let Some(fd) = fd {
        header.msg_control = rights.buffer.as_mut_ptr().cast();
        // SAFETY: the buffer has room for many descriptors.
        unsafe {
            header.msg_controllen = libc::CMSG_SPACE(size_of::<c_int>() as u32) as _;
            let first = libc::CMSG_FIRSTHDR(&header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(size_of::<c_int>() as u32) as _;
            libc::CMSG_DATA(first).cast::<c_int>().write_unaligned(fd);
        }
    }
    // SAFETY: the header describes places that are there.
    let sent = unsafe { libc::sendmsg(socket, &header, libc::MSG_NOSIGNAL) };
    checked(sent as c_long).map(drop)
}

const RSEQ_BYTES: usize = 32;
/// What precedes the abort handlers of restartable sequences on this architecture.
const RSEQ_SIGNATURE: u32 = 0x5305_3053;
/// Room for [`MOST`] descriptors and what is before them.
const RIGHTS_BYTES: usize = 32 + MOST * size_of::<c_int>();
