//! System calls that rustix has no safe wrapper for.

use std::ffi::{c_int, c_short};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::io::{Errno, Result};

/// Makes a group that hears of changes and does not block (fanotify_init(2)). Any user may.
pub(crate) fn fanotify_init() -> Result<OwnedFd> {
    let flags = libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
    let flags = flags | REPORT_FID | REPORT_DFID_NAME;
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::fanotify_init(flags, (libc::O_RDONLY | libc::O_CLOEXEC) as _) };
    check(fd)?;
    // SAFETY: the call has just made this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds (or with `remove` takes away) what a group hears of the file that `path` leads to.
pub(crate) fn fanotify_mark(group: &OwnedFd, remove: bool, mask: u64, path: &str) -> Result<()> {
    let path = std::ffi::CString::new(path).map_err(|_| Errno::INVAL)?;
    let flags = if remove { libc::FAN_MARK_REMOVE } else { libc::FAN_MARK_ADD };
    // SAFETY: the path is a string that lives until the call returns.
    check(unsafe {
        libc::fanotify_mark(group.as_raw_fd(), flags, mask, libc::AT_FDCWD, path.as_ptr())
    })
}

/// What names a file in its file system: type, then content, as `struct file_handle` has them.
pub(crate) fn file_handle(file: BorrowedFd<'_>) -> Result<Box<[u8]>> {
    let mut handle = Handle {
        length: libc::MAX_HANDLE_SZ as u32,
        kind: 0,
        bytes: [0; libc::MAX_HANDLE_SZ as usize],
    };
    let mut mount: c_int = 0;
    // SAFETY: `handle` has the layout of a `struct file_handle` with as much room as it says; the
    // path is empty.
    check(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            file.as_raw_fd(),
            c"".as_ptr(),
            &raw mut handle,
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    } as c_int)?;
    let bytes = handle.bytes.get(..handle.length as usize).ok_or(Errno::OVERFLOW)?;
    Ok([&handle.kind.to_ne_bytes(), bytes].concat().into())
}

/// Opens what [`file_handle`] named, to do nothing but name it, in the file system of `top`, which is
/// not opened with `O_PATH`. Needs `CAP_DAC_READ_SEARCH`.
pub(crate) fn open_by_handle(top: &OwnedFd, name: &[u8]) -> Result<OwnedFd> {
    let (kind, content) = name.split_first_chunk::<4>().ok_or(Errno::INVAL)?;
    let mut handle = Handle {
        length: u32::try_from(content.len()).map_err(|_| Errno::INVAL)?,
        kind: i32::from_ne_bytes(*kind),
        bytes: [0; libc::MAX_HANDLE_SZ as usize],
    };
    handle.bytes.get_mut(..content.len()).ok_or(Errno::INVAL)?.copy_from_slice(content);
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: `handle` has the layout of a `struct file_handle`, with as many bytes as it says.
    let fd = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, top.as_raw_fd(), &raw mut handle, flags)
    } as c_int;
    check(fd)?;
    // SAFETY: the call has just made this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `struct file_handle`.
#[repr(C)]
struct Handle {
    length: u32,
    kind: i32,
    bytes: [u8; libc::MAX_HANDLE_SZ as usize],
}

/// Returns how many bytes of what was sent over a socket its other end has not read (`SIOCOUTQ`).
pub(crate) fn unread(socket: BorrowedFd<'_>) -> Result<usize> {
    let mut count: c_int = 0;
    // SAFETY: the request writes one number.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// A range of a file's bytes, and how it is locked (`F_RDLCK`, `F_WRLCK`, `F_UNLCK`). A length of 0
/// reaches to the end, wherever that is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Range {
    pub(crate) kind: u32,
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// Locks or unlocks for an open file (`F_OFD_SETLK` of fcntl_locking(2)).
///
/// # Errors
/// `EAGAIN`: somebody else has a lock that conflicts.
pub(crate) fn lock(file: &OwnedFd, range: Range) -> Result<()> {
    control(file, libc::F_OFD_SETLK, range).map(drop)
}

/// Returns a lock that keeps an open file from getting `range`.
pub(crate) fn conflict(file: &OwnedFd, range: Range) -> Result<Option<Range>> {
    let found = control(file, libc::F_OFD_GETLK, range)?;
    Ok((found.kind != libc::F_UNLCK as u32).then_some(found))
}

fn control(file: &OwnedFd, command: c_int, range: Range) -> Result<Range> {
    // SAFETY: an all-zero `struct flock` is valid.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = range.kind as c_short;
    lock.l_whence = libc::SEEK_SET as c_short;
    lock.l_start = i64::try_from(range.start).map_err(|_| Errno::OVERFLOW)?;
    lock.l_len = i64::try_from(range.length).map_err(|_| Errno::OVERFLOW)?;
    // SAFETY: both commands read and write a `struct flock`.
    check(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) })?;
    Ok(Range { kind: lock.l_type as u32, start: lock.l_start as u64, length: lock.l_len as u64 })
}

fn check(result: c_int) -> Result<()> {
    match result {
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
        _ => Ok(()),
    }
}

/// `FAN_REPORT_FID` and `FAN_REPORT_DFID_NAME` of `linux/fanotify.h`.
const REPORT_FID: libc::c_uint = 0x200;
const REPORT_DFID_NAME: libc::c_uint = 0xc00;
