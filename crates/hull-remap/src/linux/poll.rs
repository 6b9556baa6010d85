//! `ppoll` as the program calls it: where its main thread waits, requests for forks are heard, too.

use core::ffi::{c_int, c_ulong};

use super::fork::{self, Side};

/// Replaces the C library's function of this name.
///
/// # Safety
/// As `ppoll(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ppoll(
    descriptors: *mut libc::pollfd,
    count: c_ulong,
    timeout: *const libc::timespec,
    mask: *const libc::sigset_t,
) -> c_int {
    // SAFETY: the caller guarantees `count` descriptors.
    let asked = unsafe { at(descriptors, count) };
    // A machine with more devices than that is never forked.
    let Some(ears) = fork::ears().filter(|ears| asked.len() + ears.len() <= MOST) else {
        // SAFETY: the caller guarantees what the system call needs.
        return unsafe { system_ppoll(descriptors, count, timeout, mask) };
    };
    let mut all = [NOTHING; MOST];
    let (theirs, rest) = all.split_at_mut(asked.len());
    theirs.copy_from_slice(asked);
    let ours = &mut rest[..ears.len()];
    ours.copy_from_slice(&ears);
    let total = (theirs.len() + ours.len()) as c_ulong;
    // SAFETY: `all` has more than `total` descriptors; the rest is the caller's.
    let mut ready = unsafe { system_ppoll(all.as_mut_ptr(), total, timeout, mask) };
    let (theirs, rest) = all.split_at(asked.len());
    asked.copy_from_slice(theirs);
    for ear in &rest[..ears.len()] {
        if ready > 0 && ear.revents != 0 {
            ready -= 1;
            if fork::hear(ear.fd) == Side::Child {
                // What was found are ends and words of the parent's connections.
                asked.iter_mut().for_each(|descriptor| descriptor.revents = 0);
                return 0;
            }
        }
    }
    // Nothing for the caller is as if its time had run out early, which it has to expect.
    ready
}

/// Returns the caller's descriptors.
///
/// # Safety
/// `descriptors` are `count`.
unsafe fn at<'a>(descriptors: *mut libc::pollfd, count: c_ulong) -> &'a mut [libc::pollfd] {
    if descriptors.is_null() {
        return &mut [];
    }
    // SAFETY: the caller guarantees it.
    unsafe { core::slice::from_raw_parts_mut(descriptors, count as usize) }
}

/// # Safety
/// As `ppoll(2)`.
unsafe fn system_ppoll(
    descriptors: *mut libc::pollfd,
    count: c_ulong,
    timeout: *const libc::timespec,
    mask: *const libc::sigset_t,
) -> c_int {
    // The system call writes the time that is left.
    // SAFETY: the caller guarantees that it is null or valid.
    let mut left = unsafe { timeout.as_ref() }.copied();
    let left = left.as_mut().map_or(core::ptr::null_mut(), core::ptr::from_mut);
    // SAFETY: this is what the C library's function does; the kernel's signal sets have 8 bytes.
    unsafe { libc::syscall(libc::SYS_ppoll, descriptors, count, left, mask, 8) as c_int }
}

const NOTHING: libc::pollfd = libc::pollfd { fd: -1, events: 0, revents: 0 };
/// Descriptors that are waited for at most; QEMU has some thirty.
const MOST: usize = 256;
