//! The thread that does what no request asks for: it tells guests what to forget, and answers
//! requests that have waited for a lock.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::cache::Cache;
use crate::forget::{self, doubt_all, forget_all, forget_entry, forget_file};
use crate::server::Server;
use crate::session::Session;
use crate::watch::{Heard, Watch};
use crate::wire::{Answer, BARRIER, notification};

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
    let mut newcomers = Newcomers::default();
    loop {
        let (sessions, watch) = server.served();
        let heard = match wait(server, &sessions, watch.as_deref(), newcomers.pause()) {
            Ok(heard) => heard,
            Err(_) => return,
        };
        if heard && let Some(watch) = &watch {
            // What cannot be read is not heard again, either: the thread would only spin.
            let taken = watch.take(&mut buffer, |heard| match heard {
                Heard::Open(handle) => newcomers.heard(server, &sessions, handle),
                heard => tell(server, &sessions, heard),
            });
            if taken.is_err() {
                return;
            }
        }
        newcomers.admit(server.passed());
        for (number, session) in (0..).zip(&sessions) {
            let _under_way = server.under_way();
            for (unique, result) in session.locks.settle() {
                let mut answer = Answer::default();
                answer.clear();
                server.send(answer.finish(number, unique, result));
            }
            if let Some(lease) = session.cache.lease() {
                lease.look(Instant::now());
            }
            let doubtful = session.doubtful().take();
            if let Some(names) = doubtful.filter(|_| session.cache.is_agreed()) {
                doubt_all(server, number, session, &names);
            }
        }
    }
}

/// Waits until there is something to do; `true`: something was heard. Fails when the port closes.
fn wait(
    server: &Server,
    sessions: &[Arc<Session>],
    watch: Option<&Watch>,
    most: Option<Duration>,
) -> io::Result<bool> {
    let waits = sessions.iter().any(|session| session.locks.is_waited_for());
    let shared = sessions
        .iter()
        .any(|session| session.cache.lease().is_some_and(crate::lease::Lease::may_change));
    let pause = match (waits, shared) {
        (true, _) => Some(UNLOCKED),
        (false, true) => Some(ALONE),
        (false, false) => None,
    };
    let pause = pause.into_iter().chain(most).min();
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

/// Other machines that want to use volumes of this one's, and wait until its guest has forgotten what
/// it believes of them.
#[derive(Debug, Default)]
struct Newcomers {
    waiting: Vec<Newcomer>,
    last: u32,
}

#[derive(Debug)]
struct Newcomer {
    session: Arc<Session>,
    barrier: u32,
    until: Instant,
}

impl Newcomers {
    /// Somebody has opened a file: if it is a lease, has the guest forget and say when it has.
    fn heard(&mut self, server: &Server, sessions: &[Arc<Session>], handle: &[u8]) {
        for (number, session) in (0..).zip(sessions) {
            if !session.cache.lease().is_some_and(|lease| lease.opened(handle)) {
                continue;
            }
            // As for a change: what is being answered was found out while it could be believed.
            server.exclude(|| session.cache.change());
            if session.cache.is_agreed() {
                doubt_all(server, number, session, &forget::known(session));
            }
            self.last = self.last.saturating_add(1);
            server.send(&notification(BARRIER, self.last, &[]));
            let (session, until) = (Arc::clone(session), Instant::now() + PATIENCE);
            self.waiting.push(Newcomer { session, barrier: self.last, until });
        }
    }

    /// Lets those in for whom the guest has done what it was told before the barrier `passed`, or has
    /// had its time: one that stands still or does not want to is not waited for.
    fn admit(&mut self, passed: u32) {
        let now = Instant::now();
        self.waiting.retain(|newcomer| {
            let waits = passed < newcomer.barrier && now < newcomer.until;
            if !waits && let Some(lease) = newcomer.session.cache.lease() {
                lease.admit();
            }
            waits
        });
    }

    /// How long there is nothing to do but to wait for the guest.
    fn pause(&self) -> Option<Duration> {
        let next = self.waiting.iter().map(|newcomer| newcomer.until).min();
        next.map(|until| until.saturating_duration_since(Instant::now()))
    }
}

/// Has guests forget what others have changed.
fn tell(server: &Server, sessions: &[Arc<Session>], heard: Heard<'_>) {
    for (number, session) in (0..).zip(sessions) {
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

/// How long a guest may take to forget.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often locks are tried for that others of the host may have given up.
const UNLOCKED: Duration = Duration::from_millis(10);
/// How often it is looked whether other machines have gone.
const ALONE: Duration = Duration::from_secs(1);
const BUFFER: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::Share;
    use crate::lease::Lease;
    use crate::wire::{IN_HEADER, PREFIX};

    /// A server of a volume, whose guest believes what it is told, and the guest's end of the port;
    /// `None` where changes are not heard.
    fn served(dir: &std::path::Path) -> Option<(Arc<Server>, UnixStream)> {
        std::fs::create_dir(dir.join("data")).unwrap();
        std::fs::write(dir.join("data/file"), "text").unwrap();
        let (host, guest) = UnixStream::pair().unwrap();
        let server = Server::start(host).unwrap();
        let (source, lease) = (dir.join("data"), Some(dir.join("lease")));
        server.set(&[Share { source, lease, ..Share::default() }]).unwrap();
        let session = Arc::clone(&server.served().0[0]);
        session.cache.agree(true);
        session.cache.lease().is_some_and(Lease::is_alone).then_some((server, guest))
    }

    /// Reads messages until a barrier comes: returns its number, and how many messages came before.
    fn barrier(guest: &mut UnixStream) -> (u32, usize) {
        for before in 0.. {
            let mut head = [0; PREFIX + 16];
            guest.read_exact(&mut head).unwrap();
            let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
            let mut rest = vec![0; word(4) as usize - 16];
            guest.read_exact(&mut rest).unwrap();
            if word(0) == BARRIER {
                return (word(8), before);
            }
        }
        unreachable!()
    }

    /// What this process opens it does not hear itself.
    fn opened_by_another(path: &std::path::Path) {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", ": <\"$1\"", "sh"]).arg(path);
        assert!(shell.status().unwrap().success());
    }

    #[test]
    fn another_machine_is_let_in_when_the_guest_has_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let Some((server, mut guest)) = served(dir.path()) else {
            return;
        };
        let begin = Instant::now();
        let path = dir.path().join("lease");
        opened_by_another(&path);
        let newcomer = std::thread::spawn(move || Lease::open(&path, None));
        let (number, before) = barrier(&mut guest);
        assert!(before > 0, "nothing was forgotten");
        let lets_in = newcomer.is_finished();
        assert!(!lets_in || begin.elapsed() >= PATIENCE, "let in before the guest knew");
        let mut message = BARRIER.to_le_bytes().to_vec();
        message.extend_from_slice(&(IN_HEADER as u32).to_le_bytes());
        message.extend_from_slice(&number.to_le_bytes());
        message.resize(PREFIX + IN_HEADER, 0);
        guest.write_all(&message).unwrap();
        let newcomer = newcomer.join().unwrap().unwrap();
        while server.passed() != number {
            std::thread::sleep(Duration::from_millis(1));
        }
        let session = Arc::clone(&server.served().0[0]);
        assert!(!session.cache.lease().unwrap().is_alone());
        drop(newcomer);
    }

    #[test]
    fn a_guest_that_says_nothing_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let Some((server, _guest)) = served(dir.path()) else {
            return;
        };
        opened_by_another(&dir.path().join("lease"));
        let newcomer = Lease::open(&dir.path().join("lease"), None).unwrap();
        let session = Arc::clone(&server.served().0[0]);
        assert!(!session.cache.lease().unwrap().is_alone());
        drop(newcomer);
    }
}
