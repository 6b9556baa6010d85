//! What the host's process list calls the machine: the argument of `-name`.

use core::ffi::{CStr, c_char, c_int};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Finds the argument.
///
/// # Safety
/// `arguments` are `count` strings, which stay where they are.
pub(super) unsafe fn find(count: c_int, arguments: *mut *mut c_char) {
    let argument = |index: usize| {
        // SAFETY: the caller guarantees as many.
        unsafe { *arguments.add(index) }
    };
    for index in 1..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the caller guarantees strings.
        let before = unsafe { CStr::from_ptr(argument(index - 1)) };
        if before == c"-name" {
            let place = argument(index);
            // SAFETY: as above.
            let length = unsafe { CStr::from_ptr(place) }.count_bytes();
            PLACE.store(place, Ordering::Relaxed);
            LENGTH.store(length, Ordering::Relaxed);
            return;
        }
    }
}

/// Puts `name` there, as much of it as there is room for. The program has read what was there.
pub(super) fn set(name: &[u8]) {
    let place = PLACE.load(Ordering::Relaxed);
    if place.is_null() {
        return;
    }
    let rest = core::iter::repeat(&0);
    for (index, byte) in name.iter().chain(rest).take(LENGTH.load(Ordering::Relaxed)).enumerate() {
        // SAFETY: the argument has that length, and nobody else looks at it.
        unsafe { place.add(index).write(*byte as c_char) };
    }
}

static PLACE: AtomicPtr<c_char> = AtomicPtr::new(core::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);
