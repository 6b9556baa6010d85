//! The thread that does what no request asks for: it tells guests what to forget, and answers
//! requests that have waited for a lock.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::cache::Cache;
use crate::server::Server;
use crate::session::Session;
use crate::watch::{Heard, Watch};
use crate::wire::{Answer, ROOT, notification, notify};

/// How the thread is woken.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(crate) fn ring(&self) {
        // Full means that it has rung.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn quiet(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// Attends until the port closes.
pub(crate) fn attend(server: &Server) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let (sessions, watch) = server.served();
        let heard = match wait(server, &sessions, watch.as_deref()) {
            Ok(heard) => heard,
            Err(_) => return,
        };
        if heard && let Some(watch) = &watch {
            // What cannot be read is not heard again, either: the thread would only spin.
            if watch.take(&mut buffer, |heard| tell(server, &sessions, heard)).is_err() {
                return;
            }
        }
        for (number, session) in (0..).zip(&sessions) {
            let _under_way = server.under_way();
            for (unique, result) in session.locks.settle() {
                let mut answer = Answer::default();
                answer.clear();
                server.send(answer.finish(number, unique, result));
            }
            if let Some(lease) = session.cache.lease() {
                lease.look();
            }
            if session.cache.was_old() && session.cache.is_agreed() {
                forget_all(server, number, session);
            }
        }
    }
}

/// Waits until there is something to do; `true`: something was heard. Fails when the port closes.
fn wait(server: &Server, sessions: &[Arc<Session>], watch: Option<&Watch>) -> io::Result<bool> {
    let waits = sessions.iter().any(|session| session.locks.is_waited_for());
    let shared = sessions
        .iter()
        .any(|session| session.cache.lease().is_some_and(crate::lease::Lease::may_change));
    let pause = match (waits, shared) {
        (true, _) => Some(UNLOCKED),
        (false, true) => Some(ALONE),
        (false, false) => None,
    };
    let pause = pause.map(|pause| Timespec {
        tv_sec: pause.as_secs() as i64,
        tv_nsec: pause.subsec_nanos().into(),
    });
    let (bell, port) = (server.bell(), server.port());
    let mut fds = vec![
        PollFd::new(&bell.0, PollFlags::IN),
        // That it closes is told unasked.
        PollFd::new(port, PollFlags::empty()),
    ];
    if let Some(watch) = watch {
        fds.push(PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN));
    }
    match poll(&mut fds, pause.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    }
    if !fds[1].revents().is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let heard = fds.get(2).is_some_and(|fd| !fd.revents().is_empty());
    bell.quiet();
    Ok(heard)
}

/// Has guests forget what others have changed.
fn tell(server: &Server, sessions: &[Arc<Session>], heard: Heard<'_>) {
    for (number, session) in (0..).zip(sessions) {
        if let Heard::Open(handle) = heard {
            if let Some(lease) = session.cache.lease() {
                lease.opened(handle);
            }
            continue;
        }
        let cache: &Cache = &session.cache;
        // What is being answered at this moment is not to be believed. Who is entered after this
        // was looked up after the change.
        server.exclude(|| cache.change());
        if !cache.is_agreed() {
            continue;
        }
        match heard {
            Heard::Entry { directory, name } => {
                if let Some(node) = session.nodes.number(directory) {
                    server.send(&forget_entry(number, node, name.to_bytes()));
                }
            }
            Heard::File(handle) => {
                if let Some(node) = session.nodes.number(handle) {
                    server.send(&forget_file(number, node));
                }
            }
            Heard::Lost => forget_all(server, number, session),
            Heard::Open(_) => {}
        }
    }
}

/// Has a guest forget all files, and the names that everything else is below.
fn forget_all(server: &Server, number: u32, session: &Session) {
    for node in session.nodes.numbers() {
        server.send(&forget_file(number, node));
    }
    let Ok(root) = session.nodes.find(ROOT) else {
        return;
    };
    for entry in std::fs::read_dir(root.path()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        server.send(&forget_entry(number, ROOT, name.as_encoded_bytes()));
    }
}

/// `struct fuse_notify_inval_entry_out`.
fn forget_entry(share: u32, directory: u64, name: &[u8]) -> Vec<u8> {
    let head = (directory.to_le_bytes(), (name.len() as u32).to_le_bytes());
    let fields = [&head.0[..], &head.1, &[0; 4], name, &[0]].concat();
    notification(share, notify::INVAL_ENTRY, &fields)
}

/// `struct fuse_notify_inval_inode_out`: attributes, and content from the begin to the end.
fn forget_file(share: u32, node: u64) -> Vec<u8> {
    let fields = [&node.to_le_bytes()[..], &[0; 16]].concat();
    notification(share, notify::INVAL_INODE, &fields)
}

/// How often locks are tried for that others of the host may have given up.
const UNLOCKED: Duration = Duration::from_millis(10);
/// How often it is looked whether other machines have gone.
const ALONE: Duration = Duration::from_secs(1);
const BUFFER: usize = 16 << 10;
