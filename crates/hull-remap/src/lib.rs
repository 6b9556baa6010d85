//! What QEMU cannot do of itself: give a machine its template's memory, and fork with all it has.
//!
//! **Memory** (`linux/memory.rs`). QEMU is told that its guest's memory is a shared file, and this library, preloaded into it, maps
//! the template's memory file in place of that one, privately. QEMU neither saves nor loads shared
//! memory, so a fork costs no copy; and when the guest gives pages back, QEMU punches holes into a
//! file that holds nothing and then drops the private pages (`MADV_DONTNEED`). Were the template's
//! file its real backend, it would punch it under all other machines (QEMU before 8.2) or give
//! nothing back (since).
//!
//! `HULL_RAM_FD` is the file's descriptor, opened for reading only, `HULL_RAM_SIZE` its size in
//! bytes. When the mapping is in place the descriptor is closed, and a byte is written to the
//! descriptor `HULL_RAM_DONE`: whoever waits for it knows that this library was loaded and the
//! memory is the template's. Every other mapping is what the program asked for.
//!
//! **Forks** (`linux/fork/`, x86_64 only). Where `HULL_CONTROL_FD` names a connected socket, the process
//! forks when it is asked to there, with all of its threads: `linux/poll.rs` has the main loop hear
//! requests, `linux/advice.rs` keeps guest memory in forks. In return no program is executed any more.

// The profile that it is installed from has no unwinding and needs no standard library, which
// would be all of its size.
#![cfg_attr(panic = "abort", no_std)]
// What it is for is to be called by a foreign program, and to make a system call.
#![allow(unsafe_code, unreachable_pub)]

#[cfg(target_os = "linux")]
mod linux;

/// Nothing here panics; the compiler cannot know.
#[cfg(panic = "abort")]
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
