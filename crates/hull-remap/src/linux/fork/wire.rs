//! Requests and answers. Both ends are on one host: numbers are as the processor has them.

use core::ffi::{c_int, c_void};
use core::mem::{size_of, size_of_val};

use super::system::{self, Errno, Rights};
use super::{Fork, Result};

/// What a fork gets. All of it is exchanged in one message, whose length is always the same.
pub(super) struct Request {
    body: Body,
    /// As many as the body has targets.
    descriptors: [c_int; MOST],
}

/// The bytes of a request.
#[repr(C)]
#[derive(Clone, Copy)]
struct Body {
    version: u32,
    count: u32,
    targets: [c_int; MOST],
    /// Ends with the first zero.
    name: [u8; NAME_BYTES],
}

/// The bytes of an answer. A pidfd of the fork comes with it, if there is one.
#[repr(C)]
struct Answer {
    /// 0, or why there is no fork (`errno`).
    error: c_int,
    pid: c_int,
}

/// What one descriptor of a request is for.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// It is the fork's control connection.
    Control,
    /// It and the one that follows are files; the second takes the place of the first wherever
    /// the process has that open.
    File,
    /// It is a socket to listen to; nothing is forked.
    Listener,
    /// It is a file that lists what the fork will write ([`super::pages`]).
    Written,
    /// It takes the place of the descriptor with this number: the fork's, or the process's own if
    /// nothing else comes first.
    Number(c_int),
}

impl Request {
    /// Returns what is to be done with which descriptor. Each is closed by whoever uses it.
    pub(super) fn targets(&self) -> impl Iterator<Item = (Target, c_int)> {
        let count = self.body.count as usize;
        self.body.targets.iter().zip(&self.descriptors).take(count).map(|(target, fd)| {
            let target = match *target {
                CONTROL => Target::Control,
                FILE => Target::File,
                LISTENER => Target::Listener,
                WRITTEN => Target::Written,
                number => Target::Number(number),
            };
            (target, *fd)
        })
    }

    /// Returns what the fork is called.
    pub(super) fn name(&self) -> &[u8] {
        let length = self.body.name.iter().position(|byte| *byte == 0);
        &self.body.name[..length.unwrap_or(NAME_BYTES)]
    }

    /// Closes all descriptors.
    pub(super) fn close(&mut self) {
        for fd in &self.descriptors[..self.body.count as usize] {
            system::close(*fd);
        }
        self.body.count = 0;
    }
}

/// Reads a request; `None` at the end of the connection.
pub(super) fn receive(connection: c_int) -> Result<Option<Request>> {
    let mut body = Body { version: 0, count: 0, targets: [0; MOST], name: [0; NAME_BYTES] };
    let mut rights = Rights::new();
    let bytes = core::ptr::from_mut(&mut body).cast::<c_void>();
    // SAFETY: any bytes make a body.
    let read = unsafe { rights.receive(connection, bytes, size_of::<Body>()) }?;
    if read == 0 {
        return Ok(None);
    }
    let (descriptors, received) = rights.descriptors();
    let mut request = Request { body: Body { count: received as u32, ..body }, descriptors };
    if read != size_of::<Body>() || body.version != VERSION || body.count as usize != received {
        request.close();
        return Err(Errno(libc::EPROTO));
    }
    Ok(Some(request))
}

/// Says what became of a request. That nobody listens any more does not matter.
pub(super) fn answer(connection: c_int, outcome: Result<Option<&Fork>>) {
    let (answer, pidfd) = match outcome {
        Ok(None) => (Answer { error: 0, pid: 0 }, None),
        Ok(Some(fork)) => (Answer { error: 0, pid: fork.pid }, Some(fork.pidfd)),
        Err(Errno(error)) => (Answer { error, pid: 0 }, None),
    };
    let bytes = core::ptr::from_ref(&answer).cast::<c_void>();
    // SAFETY: the answer is of that size.
    let _ = unsafe { system::send(connection, bytes, size_of_val(&answer), pidfd) };
}

/// `hull_vmm::qemu::clone` has the same.
const VERSION: u32 = 1;
/// Descriptors of a request at most.
pub(super) const MOST: usize = 16;
const NAME_BYTES: usize = 32;
const CONTROL: c_int = -1;
const FILE: c_int = -2;
const LISTENER: c_int = -3;
const WRITTEN: c_int = -4;
