//! Forks this process with all of its threads.
//!
//! A translator's process is worth more than what it can save: the code that it has translated.
//! `fork(2)` copies all of it at no cost until it is written, but leaves the other threads behind. So
//! they are stopped first, by a signal whose handler keeps where it was called; in the new process
//! each of them is made again, on the stack and with the thread-local memory of the one that it
//! was, and returns from the handler. No thread holds the program's main lock or runs its guest
//! then: whoever asks has had the machine stopped.
//!
//! What a fork shares with its parent that it should not is exchanged before its threads go on:
//! the descriptors that the request names (monitor, guest channel, disks), and all eventfds. A
//! process that has something else of that kind is not forked.
//!
//! `HULL_CONTROL_FD` is a connected socket of the process's owner. What is asked for there is a
//! [`wire::Request`] with descriptors, answered by an `Answer` of that module with a pidfd of the fork. The
//! owner can have a socket listened to, where others ask, have descriptors of the process itself
//! exchanged, and have it called something else. A fork hears its own owner on a connection that
//! came with the request. A process whose owner has gone ends.

mod descriptors;
mod name;
mod pages;
mod sandbox;
mod system;
mod threads;
mod wire;

use core::ffi::{c_char, c_int};
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::environment;
use system::Errno;
use wire::{Request, Target};

/// Called by the loader, before the program runs.
#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn(c_int, *mut *mut c_char) = begin;

extern "C" fn begin(count: c_int, arguments: *mut *mut c_char) {
    if let Some(control) = environment::descriptor(c"HULL_CONTROL_FD") {
        if sandbox::close().is_err() {
            // Its owner counts on it.
            system::exit();
        }
        system::limit_waiting(control);
        CONTROL.store(control, Ordering::Relaxed);
        MAIN.store(threads::thread_pointer(), Ordering::Relaxed);
        // SAFETY: these are the program's arguments.
        unsafe { name::find(count, arguments) };
    }
}

/// Where requests are heard, in the order of asking; `None` if there are none, or the caller is
/// not the main thread.
pub(super) fn ears() -> Option<[libc::pollfd; 2]> {
    let ears = [&LISTENER, &CONTROL].map(|ear| ear.load(Ordering::Relaxed));
    if ears == [NONE; 2] || threads::thread_pointer() != MAIN.load(Ordering::Relaxed) {
        return None;
    }
    Some(ears.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }))
}

/// Serves what has come to one of [`ears`], and returns in which process.
pub(super) fn hear(fd: c_int) -> Side {
    if fd == CONTROL.load(Ordering::Relaxed) {
        return serve(fd, true);
    }
    let Ok(connection) = system::accept(fd) else { return Side::Parent };
    system::limit_waiting(connection);
    let side = serve(connection, false);
    if side == Side::Parent {
        system::close(connection);
    }
    side
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Side {
    Parent,
    Child,
}

/// Serves one request on `connection`, which is the owner's if `is_control`.
fn serve(connection: c_int, is_control: bool) -> Side {
    let mut request = match wire::receive(connection) {
        Ok(Some(request)) => request,
        Ok(None) if is_control => system::exit(),
        Ok(None) => return Side::Parent,
        Err(error) => {
            wire::answer(connection, Err(error));
            return Side::Parent;
        }
    };
    let first = request.targets().next();
    match first {
        Some((Target::Listener | Target::Number(_), _)) if !is_control => {
            request.close();
            wire::answer(connection, Err(Errno(libc::EPERM)));
            return Side::Parent;
        }
        Some((Target::Listener, listener)) => {
            if let Err(error) = descriptors::refuse_unshareable() {
                request.close();
                wire::answer(connection, Err(error));
                return Side::Parent;
            }
            hear_no_more(&LISTENER, NONE);
            LISTENER.store(listener, Ordering::Relaxed);
            wire::answer(connection, Ok(None));
            return Side::Parent;
        }
        // Only the name is new.
        None if is_control => {
            name::set(request.name());
            wire::answer(connection, Ok(None));
            return Side::Parent;
        }
        // A fork's request begins with its control connection.
        Some((Target::Number(_), _)) => {
            wire::answer(connection, descriptors::exchange_here(&request).map(|()| None));
            return Side::Parent;
        }
        _ => {}
    }
    match descriptors::refuse_unshareable().and_then(|()| threads::fork()) {
        Ok(Some(fork)) => {
            request.close();
            wire::answer(connection, Ok(Some(&fork)));
            system::close(fork.pidfd);
            Side::Parent
        }
        Ok(None) => {
            hear_no_more(&LISTENER, connection);
            hear_no_more(&CONTROL, connection);
            system::close(connection);
            become_of(&mut request);
            threads::resume();
            Side::Child
        }
        Err(error) => {
            request.close();
            wire::answer(connection, Err(error));
            Side::Parent
        }
    }
}

/// Exchanges what the fork shares with its parent.
fn become_of(request: &mut Request) {
    name::set(request.name());
    let exchanged = descriptors::exchange(request);
    match exchanged.and_then(|control| descriptors::renew_eventfds().map(|()| control)) {
        Ok(control) => CONTROL.store(control, Ordering::Relaxed),
        // Whoever asked sees the end of a process that has not said a word.
        Err(_) => system::exit(),
    }
}

/// Closes an ear, unless it is `other`.
fn hear_no_more(ear: &AtomicI32, other: c_int) {
    let fd = ear.swap(NONE, Ordering::Relaxed);
    if fd != NONE && fd != other {
        system::close(fd);
    }
}

/// A process that was forked.
struct Fork {
    pid: c_int,
    pidfd: c_int,
}

type Result<T> = core::result::Result<T, Errno>;

const NONE: c_int = -1;

/// Where others than the owner ask.
static LISTENER: AtomicI32 = AtomicI32::new(NONE);
/// Thread pointer of the main thread: it stays the same in forks, and costs no system call.
static MAIN: AtomicUsize = AtomicUsize::new(0);
/// The owner's connection.
static CONTROL: AtomicI32 = AtomicI32::new(NONE);
