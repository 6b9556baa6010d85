//! What the library is told.

use core::ffi::{CStr, c_char, c_int};

/// Returns the number that the environment has under `name`.
pub(super) fn number(name: &CStr) -> Option<u64> {
    // SAFETY: the name ends with a zero byte. QEMU never changes its environment.
    let mut at: *const c_char = unsafe { libc::getenv(name.as_ptr()) };
    if at.is_null() {
        return None;
    }
    let mut value = 0_u64;
    loop {
        // SAFETY: `at` is inside the string, or at the zero byte that ends it.
        match unsafe { *at } as u8 {
            0 => return Some(value),
            digit @ b'0'..=b'9' => {
                value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            }
            _ => return None,
        }
        // SAFETY: the byte there is not the last.
        at = unsafe { at.add(1) };
    }
}

/// Returns the descriptor that the environment has under `name`.
pub(super) fn descriptor(name: &CStr) -> Option<c_int> {
    number(name).and_then(|fd| c_int::try_from(fd).ok())
}
