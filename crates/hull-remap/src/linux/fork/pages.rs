//! Pages that a fork is about to write.
//!
//! One at a time, each would be copied when it is written, by threads that have to tell each other
//! of it. While a fork has one thread, all of them cost a fraction of that.

use core::ffi::c_int;
use core::mem::size_of_val;

use super::system;

/// Gives the process pages of its own in the ranges that `file` lists: pairs of an address and a
/// length in bytes, both multiples of a page, as the processor has numbers. Nothing depends on it:
/// ranges that are not there, and kernels that do not know how (before 5.14), change nothing.
pub(super) fn own(file: c_int) {
    let mut ranges = [[0_usize; 2]; 256];
    let length = size_of_val(&ranges);
    loop {
        // SAFETY: the array is of that size, and any bytes make numbers.
        let bytes =
            unsafe { core::slice::from_raw_parts_mut(ranges.as_mut_ptr().cast::<u8>(), length) };
        let Ok(read) = system::read(file, bytes) else { return };
        if read == 0 {
            return;
        }
        for [address, length] in ranges.iter().take(read / size_of_val(&ranges[0])) {
            // SAFETY: it changes no byte of the memory that is there.
            unsafe { libc::syscall(libc::SYS_madvise, *address, *length, POPULATE_WRITE) };
        }
    }
}

/// `MADV_POPULATE_WRITE` of `madvise(2)`.
const POPULATE_WRITE: c_int = 23;
