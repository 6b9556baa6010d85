//! Stops all threads, and makes them again in the new process.

use core::arch::global_asm;
use core::ffi::{c_int, c_void};
use core::mem::{offset_of, zeroed};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI32, AtomicIsize, AtomicU32, AtomicUsize, Ordering};

use super::system::{self, Errno, checked};
use super::{Fork, Result};

/// Forks the process. In the new one, which gets `None`, only the calling thread exists until
/// [`resume`] is called.
pub(super) fn fork() -> Result<Option<Fork>> {
    install()?;
    GATE.store(CLOSED, Ordering::SeqCst);
    let forked = stop_others().and_then(|()| split());
    if !matches!(forked, Ok(None)) {
        open_gate();
    }
    forked
}

/// Makes the threads that were stopped again, in a process that was forked.
pub(super) fn resume() {
    let own = tid_field(thread_pointer());
    for thread in stopped() {
        let thread_pointer = thread.thread_pointer.load(Ordering::Relaxed);
        let stack = thread.stack.load(Ordering::Relaxed);
        let tid = own.map_or(null_mut(), |offset| (thread_pointer + offset) as *mut c_int);
        let flags = if tid.is_null() { THREAD } else { THREAD | THREAD_TID };
        // SAFETY: the stack is that of a thread that is not there any more, where it stopped.
        let made = unsafe { hull_make_thread(flags, stack, tid, tid, thread_pointer) };
        if made < 0 {
            // Half a machine is none.
            system::exit();
        }
    }
    STOPPED.store(0, Ordering::SeqCst);
}

/// A thread that has stopped.
#[repr(C)]
struct Thread {
    /// Where its registers are, in its signal handler. Written by `hull_park`, which knows that
    /// this comes first.
    stack: AtomicUsize,
    /// What its thread-local memory is reached by.
    thread_pointer: AtomicUsize,
    /// Its number in the process that was forked.
    id: AtomicI32,
    /// `get_robust_list(2)`.
    robust_list: AtomicUsize,
}

impl Thread {
    const fn none() -> Self {
        Self {
            stack: AtomicUsize::new(0),
            thread_pointer: AtomicUsize::new(0),
            id: AtomicI32::new(0),
            robust_list: AtomicUsize::new(0),
        }
    }
}

fn stopped() -> &'static [Thread] {
    &THREADS[..STOPPED.load(Ordering::SeqCst).min(MOST)]
}

/// Has every other thread stop in its signal handler.
fn stop_others() -> Result<()> {
    STOPPED.store(0, Ordering::SeqCst);
    PARKED.store(0, Ordering::SeqCst);
    let process = system::process_id();
    let own = system::thread_id();
    let mut asked = [0; MOST];
    let mut count = 0;
    loop {
        let before = count;
        let directory = system::open(c"/proc/self/task", libc::O_DIRECTORY)?;
        let visited = system::each_number(directory, |thread| {
            if thread == own || asked[..count].contains(&thread) {
                return Ok(());
            }
            if count == MOST {
                return Err(Errno(libc::ENOBUFS));
            }
            // SAFETY: the handler is in place.
            let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, SIGNAL) };
            match checked(sent) {
                Ok(_) => {
                    asked[count] = thread;
                    count += 1;
                    Ok(())
                }
                // It has ended meanwhile.
                Err(Errno(libc::ESRCH)) => Ok(()),
                Err(error) => Err(error),
            }
        });
        system::close(directory);
        visited?;
        wait_for(&asked[..count])?;
        // A thread that had not stopped yet may have made another.
        if count == before {
            return Ok(());
        }
    }
}

/// Waits until the threads that were asked to stop have, or have ended.
fn wait_for(asked: &[c_int]) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let parked = PARKED.load(Ordering::SeqCst);
        let alive = asked.iter().filter(|thread| system::thread_exists(**thread)).count();
        if parked as usize >= alive {
            return Ok(());
        }
        system::futex_wait(&PARKED, parked, STEP);
    }
    Err(Errno(libc::EBUSY))
}

/// Makes the new process.
fn split() -> Result<Option<Fork>> {
    let mut pidfd: c_int = -1;
    let own = thread_pointer();
    // The C library keeps its thread's number there, and has the kernel change it.
    let tid = tid_field(own).map_or(null_mut(), |offset| (own + offset) as *mut c_int);
    let flags = libc::CLONE_PIDFD
        | libc::SIGCHLD
        | if tid.is_null() { 0 } else { libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID };
    let robust_list = robust_list();
    // SAFETY: without memory or stack of its own it is a fork; all its threads are stopped.
    let pid = checked(unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, tid, 0) })?;
    if pid > 0 {
        return Ok(Some(Fork { pid: pid as c_int, pidfd }));
    }
    adopt_robust_list(robust_list);
    Ok(None)
}

/// Has stopped threads go on.
fn open_gate() {
    GATE.store(OPEN, Ordering::SeqCst);
    system::futex_wake(&GATE);
    // The handlers must have been left before the next fork.
    for _ in 0..ATTEMPTS {
        let parked = PARKED.load(Ordering::SeqCst);
        if parked == 0 {
            return;
        }
        system::futex_wait(&PARKED, parked, STEP);
    }
}

/// Has [`SIGNAL`] stop threads, and forks be reaped by nobody.
fn install() -> Result<()> {
    // Looked up here: a handler must not.
    RESTARTABLE.store(system::restartable_sequences().unwrap_or(0), Ordering::SeqCst);
    // SAFETY: no bytes is an action; handlers are functions of this module.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = stop as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigfillset(&mut action.sa_mask);
        checked(libc::sigaction(SIGNAL, &action, null_mut()).into())?;
        let mut ignore: libc::sigaction = zeroed();
        ignore.sa_sigaction = libc::SIG_IGN;
        checked(libc::sigaction(libc::SIGCHLD, &ignore, null_mut()).into()).map(drop)
    }
}

/// Stops the thread that has got [`SIGNAL`] until it may go on, or is made again.
extern "C" fn stop(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes what it has to say of the signal.
    let from_here =
        unsafe { (*info).si_code == SI_TKILL && (*info).si_pid() == system::process_id() };
    if !from_here {
        // A real fault: it happens once more, as it would have without this library.
        // SAFETY: it has no conditions.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    if GATE.load(Ordering::SeqCst) == OPEN {
        // Too late: the fork was given up.
        return;
    }
    let errno = Errno::last();
    let place = STOPPED.fetch_add(1, Ordering::SeqCst);
    let Some(thread) = THREADS.get(place) else { return };
    let id = system::thread_id();
    thread.thread_pointer.store(thread_pointer(), Ordering::SeqCst);
    thread.robust_list.store(robust_list(), Ordering::SeqCst);
    thread.id.store(id, Ordering::SeqCst);
    // SAFETY: the thread's place is its own until it has left it.
    unsafe { hull_park(thread) };
    if system::thread_id() != id {
        // Made again: what the kernel knows of threads beyond their registers.
        adopt_robust_list(thread.robust_list.load(Ordering::SeqCst));
        let offset = RESTARTABLE.load(Ordering::SeqCst);
        if offset != 0 {
            system::register_restartable_sequences(thread_pointer().wrapping_add_signed(offset));
        }
    }
    errno.set();
}

/// Waits at the gate. Called by `hull_park`, when the thread's registers have been kept.
extern "C" fn hull_wait() {
    PARKED.fetch_add(1, Ordering::SeqCst);
    system::futex_wake(&PARKED);
    while GATE.load(Ordering::SeqCst) == CLOSED {
        system::futex_wait(&GATE, CLOSED, 1000);
    }
    PARKED.fetch_sub(1, Ordering::SeqCst);
    system::futex_wake(&PARKED);
}

// `hull_park` keeps the registers that a function has to keep on the stack, and where that is in
// the thread's place; then it waits. `hull_make_thread` is `clone(2)` as the system call has it,
// whose new thread begins as if `hull_park` had returned.
global_asm!(
    ".text",
    ".local hull_park",
    ".type hull_park, @function",
    "hull_park:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [rdi], rsp",
    "sub rsp, 8",
    "call {wait}",
    "add rsp, 8",
    "2:",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    ".size hull_park, . - hull_park",
    ".local hull_make_thread",
    ".type hull_make_thread, @function",
    "hull_make_thread:",
    "mov r10, rcx",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 2b",
    "ret",
    ".size hull_make_thread, . - hull_make_thread",
    wait = sym hull_wait,
);

unsafe extern "C" {
    fn hull_park(thread: &Thread);
    fn hull_make_thread(
        flags: c_int,
        stack: usize,
        parent_tid: *mut c_int,
        child_tid: *mut c_int,
        thread_pointer: usize,
    ) -> i64;
}

/// Returns the address that thread-local memory is reached by; the C library keeps it there.
pub(super) fn thread_pointer() -> usize {
    let address;
    // SAFETY: the System V ABI has the thread pointer's own address at that place.
    unsafe { core::arch::asm!("mov {}, fs:0", out(reg) address, options(nostack, readonly)) };
    address
}

/// Returns where, from the thread pointer on, the C library keeps the number of a thread: its
/// functions that send signals to threads need it, and those that wait for their end.
fn tid_field(own: usize) -> Option<usize> {
    let is_at = |thread_pointer: usize, offset: usize, id: c_int| {
        // SAFETY: the C library's description of a thread is longer than that.
        id == unsafe { *((thread_pointer + offset) as *const c_int) }
    };
    let known = TID_FIELD.load(Ordering::Relaxed);
    if known != 0 {
        return Some(known);
    }
    let own_id = system::thread_id();
    let found = (0..DESCRIPTION_BYTES).step_by(4).find(|offset| {
        is_at(own, *offset, own_id)
            && stopped().iter().all(|thread| {
                let pointer = thread.thread_pointer.load(Ordering::Relaxed);
                is_at(pointer, *offset, thread.id.load(Ordering::Relaxed))
            })
    })?;
    TID_FIELD.store(found, Ordering::Relaxed);
    Some(found)
}

fn robust_list() -> usize {
    let mut head = 0_usize;
    let mut length = 0_usize;
    // SAFETY: there is room for both answers.
    unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut length) };
    head
}

fn adopt_robust_list(head: usize) {
    if head != 0 {
        // SAFETY: it is the list that the thread had before it was made again.
        unsafe { libc::syscall(libc::SYS_set_robust_list, head, ROBUST_LIST_BYTES) };
    }
}

/// All but SIGSEGV and its like is blocked in threads of QEMU; nothing there divides by zero.
const SIGNAL: c_int = libc::SIGFPE;
/// `SI_TKILL` of `sigaction(2)`.
const SI_TKILL: c_int = -6;
/// What the C library makes threads with.
const THREAD: c_int = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS;
const THREAD_TID: c_int = libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_CLEARTID;
/// Threads that are made again at most.
const MOST: usize = 64;
/// Bytes of `struct pthread` that are looked at.
const DESCRIPTION_BYTES: usize = 0x700;
const ROBUST_LIST_BYTES: usize = 24;
/// How long threads have to stop: two seconds, in steps of milliseconds.
const ATTEMPTS: u32 = 200;
const STEP: u32 = 10;
const OPEN: u32 = 0;
const CLOSED: u32 = 1;

static THREADS: [Thread; MOST] = [const { Thread::none() }; MOST];
/// Places of [`THREADS`] that are taken.
static STOPPED: AtomicUsize = AtomicUsize::new(0);
/// Threads that wait at the gate.
static PARKED: AtomicU32 = AtomicU32::new(0);
static GATE: AtomicU32 = AtomicU32::new(OPEN);
static TID_FIELD: AtomicUsize = AtomicUsize::new(0);
/// [`system::restartable_sequences`], 0 if there are none.
static RESTARTABLE: AtomicIsize = AtomicIsize::new(0);

const _: () = assert!(offset_of!(Thread, stack) == 0, "hull_park writes there");
