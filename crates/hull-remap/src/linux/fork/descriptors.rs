//! Descriptors of a fork that must not be its parent's.

use core::ffi::{CStr, c_int};

use super::system::{self, Errno, checked};
use super::wire::{Request, Target};
use super::{NONE, Result, pages};

/// Puts what `request` brings in its places, and returns the control connection.
pub(super) fn exchange(request: &mut Request) -> Result<c_int> {
    let mut control = NONE;
    let mut file = None;
    for (target, fd) in request.targets() {
        match target {
            _ if let Some(old) = file.take() => {
                replace_file(old, fd)?;
                system::close(old);
                system::close(fd);
            }
            Target::File => file = Some(fd),
            Target::Control => control = fd,
            Target::Listener => return Err(Errno(libc::EPROTO)),
            Target::Written => {
                pages::own(fd);
                system::close(fd);
            }
            Target::Number(number) => {
                replace(number, fd)?;
                system::close(fd);
            }
        }
    }
    if control == NONE { Err(Errno(libc::EPROTO)) } else { Ok(control) }
}

/// Puts what `request` brings in the places of open descriptors, while all threads go on.
pub(super) fn exchange_here(request: &Request) -> Result<()> {
    let mut exchanged = Ok(());
    for (target, fd) in request.targets() {
        exchanged = exchanged.and_then(|()| match target {
            Target::Number(number) => replace(number, fd),
            _ => Err(Errno(libc::EPROTO)),
        });
        system::close(fd);
    }
    exchanged
}

/// Refuses what a fork would share with its parent and cannot be given another of: an epoll instance
/// tells one of them of the other's descriptors, the rings of io_uring are in memory that both
/// write, a watch of files or a timer tells one of them what both wait for. (What a signalfd says is
/// the reader's own.)
///
/// # Errors
/// `EBADFD`: there is something of that kind.
pub(super) fn refuse_unshareable() -> Result<()> {
    each_descriptor(|fd| {
        let mut target = [0_u8; 32];
        let target = link(fd, &mut target);
        let known: [&[u8]; 2] = [b"anon_inode:[eventfd]", b"anon_inode:[signalfd]"];
        match target.starts_with(b"anon_inode:") && !known.contains(&target) {
            true => Err(Errno(libc::EBADFD)),
            false => Ok(()),
        }
    })
}

/// Makes every eventfd one of the process's own, with the same count.
pub(super) fn renew_eventfds() -> Result<()> {
    each_descriptor(|fd| {
        if is_eventfd(fd) {
            // SAFETY: it has no conditions.
            let new = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
            let new = checked(new.into())? as c_int;
            let count = count_of(fd)?;
            if count > 0 {
                // SAFETY: the value is of that size.
                let written = unsafe {
                    libc::write(new, core::ptr::from_ref(&count).cast(), size_of::<u64>())
                };
                checked(written as i64)?;
            }
            replace(fd, new)?;
            system::close(new);
        }
        Ok(())
    })
}

/// Puts `new` in the place of every descriptor that has the same file open as `old`.
fn replace_file(old: c_int, new: c_int) -> Result<()> {
    let wanted = identity(old)?;
    let mut found = false;
    each_descriptor(|fd| {
        if fd != old && identity(fd) == Ok(wanted) {
            replace(fd, new)?;
            found = true;
        }
        Ok(())
    })?;
    if found { Ok(()) } else { Err(Errno(libc::ENOENT)) }
}

/// Has `number` mean what `fd` means, with the flags that it had.
fn replace(number: c_int, fd: c_int) -> Result<()> {
    // SAFETY: the flags are numbers.
    unsafe {
        let status = checked(libc::fcntl(number, libc::F_GETFL).into())?;
        let own = checked(libc::fcntl(number, libc::F_GETFD).into())? as c_int;
        checked(libc::fcntl(fd, libc::F_SETFL, status).into())?;
        let flags = if own & libc::FD_CLOEXEC != 0 { libc::O_CLOEXEC } else { 0 };
        checked(libc::dup3(fd, number, flags).into()).map(drop)
    }
}

/// Returns what names an open file: device and inode.
fn identity(fd: c_int) -> Result<(u64, u64)> {
    // SAFETY: no bytes is a status, and there is room for one.
    let status = unsafe {
        let mut status: libc::stat = core::mem::zeroed();
        checked(libc::fstat(fd, &mut status).into())?;
        status
    };
    Ok((status.st_dev, status.st_ino))
}

fn is_eventfd(fd: c_int) -> bool {
    link(fd, &mut [0; 32]) == b"anon_inode:[eventfd]"
}

/// Returns the beginning of what the kernel calls what is open, as much as there is room for.
fn link(fd: c_int, target: &mut [u8; 32]) -> &[u8] {
    let mut path = Path::new(b"/proc/self/fd/", fd);
    // SAFETY: path and buffer are what is said of them.
    let length = unsafe {
        libc::readlink(path.as_c_str().as_ptr(), target.as_mut_ptr().cast(), target.len())
    };
    &target[..usize::try_from(length).unwrap_or(0)]
}

/// Returns how far an eventfd has counted (`proc_pid_fdinfo(5)`).
fn count_of(fd: c_int) -> Result<u64> {
    let mut path = Path::new(b"/proc/self/fdinfo/", fd);
    let file = system::open(path.as_c_str(), 0)?;
    let mut text = [0_u8; 512];
    let read = system::read(file, &mut text);
    system::close(file);
    let text = &text[..read?];
    let label = b"eventfd-count:";
    let at = text.windows(label.len()).position(|window| window == label);
    let at = at.ok_or(Errno(libc::EPROTO))? + label.len();
    let digits = text[at..].iter().skip_while(|byte| byte.is_ascii_whitespace());
    let digits = digits.map_while(|byte| (*byte as char).to_digit(16));
    Ok(digits.fold(0, |count, digit| count << 4 | u64::from(digit)))
}

/// Calls `visit` with every descriptor that the process has.
fn each_descriptor(mut visit: impl FnMut(c_int) -> Result<()>) -> Result<()> {
    let directory = system::open(c"/proc/self/fd", libc::O_DIRECTORY)?;
    let visited =
        system::each_number(directory, |fd| if fd == directory { Ok(()) } else { visit(fd) });
    system::close(directory);
    visited
}

/// A path that ends with a number.
struct Path([u8; 40]);

impl Path {
    fn new(directory: &[u8], number: c_int) -> Self {
        let mut path = [0; 40];
        path[..directory.len()].copy_from_slice(directory);
        let mut digits = [0; 10];
        let mut rest = number.unsigned_abs();
        let mut used = 0;
        loop {
            digits[used] = b'0' + (rest % 10) as u8;
            used += 1;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        for (place, digit) in path[directory.len()..].iter_mut().zip(digits[..used].iter().rev()) {
            *place = *digit;
        }
        Self(path)
    }

    fn as_c_str(&mut self) -> &CStr {
        // The last byte is never written.
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}
