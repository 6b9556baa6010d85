//! Threads that take requests from the port and answer them.
//!
//! All threads do the same: one waits for a request, lets the next one wait, does what it says,
//! and answers. So an answer that takes long (fsync on a busy disk) holds no other up, and a
//! request goes through no queue. One more thread attends to what no request asks for.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, ioctl_fionread};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::attendant::{Bell, attend};
use crate::cache::Cache;
use crate::emptied::User;
use crate::lease::Lease;
use crate::nodes::Node;
use crate::session::{Outcome, Session};
use crate::sockets::{Ear, Sockets};
use crate::watch::Watch;
use crate::wire::{Answer, BARRIER, Header, IN_HEADER, MAX_MESSAGE, PREFIX};
use crate::{Record, ServeError, Share, State, raw, thread};

/// Has this process have as many files open as it may: the guest's kernel remembers thousands, and
/// each is a descriptor here.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // If that fails, the guest is told of too many open files earlier.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Opens the source of a share, whose changes are heard by `watch`.
fn open(
    share: &Share,
    watch: Option<&Arc<Watch>>,
    sockets: Sockets,
) -> Result<Arc<Session>, ServeError> {
    let failed =
        |source: Errno| ServeError::Open { path: share.source.clone(), source: source.into() };
    let user = share.emptied.as_ref().map(|emptied| {
        User::enter(emptied)
            .map_err(|source| ServeError::Empty { path: emptied.top.clone(), source })
    });
    let user = user.transpose()?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(&share.source, flags, Mode::empty()).map_err(failed)?;
    let (root, _) = Node::new(root).map_err(failed)?;
    if !matches!(root.kind(), FileType::Directory | FileType::RegularFile) {
        return Err(ServeError::Kind(share.source.clone()));
    }
    let lease = share.lease.as_ref().map(|path| {
        Lease::open(path, watch.map(Arc::as_ref))
            .map_err(|source| ServeError::Lease { path: path.clone(), source })
    });
    let cache = Cache::new(watch.cloned(), lease.transpose()?);
    Ok(Arc::new(Session::new(root, share, cache, sockets, user)))
}

/// Whether a share has files that another one has, too: what a guest does in one would go unheard
/// in the other.
fn overlaps(share: &Share, shares: &[Share]) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let own = real(&share.source);
    shares.iter().filter(|other| !std::ptr::eq(*other, share)).any(|other| {
        let other = real(&other.source);
        own.starts_with(&other) || other.starts_with(&own)
    })
}

fn open_all(shares: &[Share], ear: &Arc<Ear>) -> Result<Served, ServeError> {
    // Without it, the guest believes nothing.
    let watch = Watch::new().ok().map(Arc::new);
    let open = |(number, share)| {
        let sockets = Sockets::new(number, Arc::clone(ear));
        open(share, watch.as_ref().filter(|_| !overlaps(share, shares)), sockets)
    };
    Ok(((0..).zip(shares).map(open).collect::<Result<_, _>>()?, watch))
}

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Server {
    input: Mutex<Input>,
    output: Mutex<UnixStream>,
    served: Mutex<Served>,
    port: UnixStream,
    bell: Bell,
    under_way: UnderWay,
    /// The last [`BARRIER`] that the guest has come to.
    passed: AtomicU32,
    ear: Arc<Ear>,
}

/// The shares, and who hears of changes in them.
type Served = (Vec<Arc<Session>>, Option<Arc<Watch>>);

impl Server {
    /// Starts the threads.
    pub(crate) fn start(port: UnixStream) -> Result<Arc<Self>, ServeError> {
        raise_limit();
        port.set_nonblocking(false).map_err(ServeError::Thread)?;
        let another = || port.try_clone().map_err(ServeError::Thread);
        let server = Arc::new(Self {
            input: Mutex::new(Input::new(another()?)),
            output: Mutex::new(another()?),
            served: Mutex::default(),
            bell: Bell::new().map_err(ServeError::Thread)?,
            under_way: UnderWay::default(),
            passed: AtomicU32::new(0),
            ear: Arc::default(),
            port,
        });
        for number in 0..THREADS {
            server.spawn(format!("share-{number}"), Self::work)?;
        }
        server.spawn("share-changes".into(), attend)?;
        Ok(server)
    }

    fn spawn(self: &Arc<Self>, name: String, work: fn(&Self)) -> Result<(), ServeError> {
        let server = Arc::clone(self);
        let thread = std::thread::Builder::new().name(name).stack_size(STACK);
        thread.spawn(move || work(&server)).map(drop).map_err(ServeError::Thread)
    }

    /// Opens the sources, which take the places of those before.
    pub(crate) fn set(&self, shares: &[Share]) -> Result<(), ServeError> {
        self.serve(open_all(shares, &self.ear)?);
        Ok(())
    }

    /// As [`Self::set`], for a guest that knows the shares already.
    pub(crate) fn restore(&self, shares: &[Share], state: State) -> Result<(), ServeError> {
        let served = open_all(shares, &self.ear)?;
        state.restore(&served.0).map_err(|errno| ServeError::State(errno.into()))?;
        self.serve(served);
        Ok(())
    }

    /// As [`Self::restore`], after a while.
    pub(crate) fn restore_record(
        &self,
        shares: &[Share],
        record: &Record,
        deleted: &[OwnedFd],
    ) -> Result<Vec<PathBuf>, ServeError> {
        let served = open_all(shares, &self.ear)?;
        let gone = record.restore(shares, &served.0, deleted)?;
        self.serve(served);
        Ok(gone)
    }

    fn serve(&self, served: Served) {
        *lock(&self.served) = served;
        self.bell.ring();
    }

    pub(crate) fn ear(&self) -> &Ear {
        &self.ear
    }

    pub(crate) fn session(&self, number: u32) -> Option<Arc<Session>> {
        lock(&self.served).0.get(number as usize).cloned()
    }

    pub(crate) fn served(&self) -> Served {
        lock(&self.served).clone()
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    pub(crate) fn port(&self) -> &UnixStream {
        &self.port
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: &[u8]) {
        // The threads that read notice that nobody is there.
        let _ = lock(&self.output).write_all(message);
    }

    /// Returns something that keeps everybody from sending; `None` if a request is on its way here,
    /// or an answer to the guest, which must stand still.
    pub(crate) fn rest(&self) -> rustix::io::Result<Option<MutexGuard<'_, UnixStream>>> {
        let output = lock(&self.output);
        // Who takes something out of the socket is under way before.
        let is_empty = ioctl_fionread(&self.port)? == 0 && raw::unread(self.port.as_fd())? == 0;
        Ok((is_empty && self.under_way.is_nothing()).then_some(output))
    }

    /// Says that something that is sent is under way until what this returns is dropped.
    pub(crate) fn under_way(&self) -> impl Drop + '_ {
        self.under_way.one()
    }

    /// The last barrier that the guest has come to.
    pub(crate) fn passed(&self) -> u32 {
        self.passed.load(Ordering::SeqCst)
    }

    /// Does something while nothing is sent.
    pub(crate) fn exclude(&self, work: impl FnOnce()) {
        let _output = lock(&self.output);
        work();
    }

    /// Serves until the port closes.
    fn work(&self) {
        // It has made no files before; one that makes them with a mask still serves.
        let _ = thread::unmask();
        let mut message = Vec::new();
        let mut answer = Answer::default();
        loop {
            let read = lock(&self.input).next(&mut message, &self.under_way);
            let Ok(_under_way) = read else {
                return;
            };
            if self.answer(&message, &mut answer).is_err() {
                return;
            }
        }
    }

    fn answer(&self, message: &[u8], answer: &mut Answer) -> io::Result<()> {
        let (number, message) = message.split_at(PREFIX);
        let number = u32::from_le_bytes(number.try_into().map_err(|_| malformed())?);
        let (header, fields) = Header::split(message).map_err(|_| malformed())?;
        if number == BARRIER {
            self.passed.store(header.opcode, Ordering::SeqCst);
            self.bell.ring();
            return Ok(());
        }
        answer.clear();
        let Some(session) = self.session(number) else {
            self.send(answer.finish(number, header.unique, Err(Errno::NODEV)));
            return Ok(());
        };
        let changes = session.cache.changes();
        let outcome = session.perform(&header, fields, answer);
        if session.locks.is_waited_for() {
            self.bell.ring();
        }
        let result = match outcome {
            Outcome::Answered(result) => result,
            Outcome::Silent => return Ok(()),
            Outcome::Held(socket) => {
                let message = answer.finish(number, header.unique, Ok(())).to_vec();
                let settled = session.sockets.hold(socket, message, self.under_way.one());
                return settled.map_or(Ok(()), |message| lock(&self.output).write_all(&message));
            }
        };
        let mut output = lock(&self.output);
        if session.cache.changes() != changes {
            answer.doubt();
        }
        output.write_all(answer.finish(number, header.unique, result))
    }
}

/// Counts what has been taken out of the socket or will be put into it.
#[derive(Debug, Default)]
struct UnderWay(Arc<AtomicUsize>);

/// One thing that is under way.
#[derive(Debug)]
pub(crate) struct Thing(Arc<AtomicUsize>);

impl UnderWay {
    fn one(&self) -> Thing {
        self.0.fetch_add(1, Ordering::SeqCst);
        Thing(Arc::clone(&self.0))
    }

    fn is_nothing(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What comes from the guest, cut into messages.
#[derive(Debug)]
struct Input {
    port: UnixStream,
    /// Something has been taken out of the socket and is in no message yet.
    begun: Option<Thing>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Input {
    fn new(port: UnixStream) -> Self {
        Self { port, begun: None, buffer: vec![0; BUFFER].into(), start: 0, end: 0 }
    }

    /// Puts the next message and its prefix into `message`. Fails if the port has closed or what
    /// comes from it makes no sense; then there is nothing more to be had from it. The message is
    /// under way until what this returns is dropped.
    fn next(&mut self, message: &mut Vec<u8>, under_way: &UnderWay) -> io::Result<Thing> {
        message.clear();
        self.take(PREFIX + 4, message, under_way)?;
        let length = message[PREFIX..].try_into().map_err(|_| malformed())?;
        let length = u32::from_le_bytes(length) as usize;
        if !(IN_HEADER..=MAX_MESSAGE).contains(&length) {
            // Nobody reads on, and nobody is answered: the guest has only itself to blame.
            let _ = self.port.shutdown(std::net::Shutdown::Both);
            return Err(malformed());
        }
        self.take(length - 4, message, under_way)?;
        let message = under_way.one();
        if self.start == self.end {
            self.begun = None;
        }
        Ok(message)
    }

    fn take(
        &mut self,
        mut wanted: usize,
        into: &mut Vec<u8>,
        under_way: &UnderWay,
    ) -> io::Result<()> {
        while wanted > 0 {
            if self.start == self.end {
                if self.begun.is_none() {
                    self.wait()?;
                    self.begun = Some(under_way.one());
                }
                (self.start, self.end) = (0, self.fill()?);
            }
            let count = wanted.min(self.end - self.start);
            into.extend_from_slice(&self.buffer[self.start..self.start + count]);
            self.start += count;
            wanted -= count;
        }
        Ok(())
    }

    /// Waits until there is something to read.
    fn wait(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.port, PollFlags::IN)], None) {
                Err(Errno::INTR) => {}
                other => return other.map(drop).map_err(Into::into),
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        loop {
            match self.port.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panics has written or read half of a message at worst, and then the others
    // find that the rest makes no sense.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests that are worked on at once.
const THREADS: usize = 4;
const STACK: usize = 128 << 10;
const BUFFER: usize = 64 << 10;
