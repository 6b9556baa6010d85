//! Threads that take requests from the port and answer them.
//!
//! All threads do the same: one waits for a request, lets the next one wait, does what it says,
//! and answers. So an answer that takes long (fsync on a busy disk) holds no other up, and a
//! request goes through no queue.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::nodes::Node;
use crate::session::{Outcome, Session};
use crate::wire::{Answer, Header, IN_HEADER, MAX_MESSAGE, PREFIX};
use crate::{ServeError, Share, thread};

/// Has this process have as many files open as it may: the guest's kernel remembers thousands, and
/// each is a descriptor here.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // If that fails, the guest is told of too many open files earlier.
    let _ = setrlimit(Resource::Nofile, raised);
}

fn open(share: &Share) -> Result<Arc<Session>, ServeError> {
    let failed = |source: rustix::io::Errno| ServeError::Open {
        path: share.source.clone(),
        source: source.into(),
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(&share.source, flags, Mode::empty()).map_err(failed)?;
    let (root, _) = Node::new(root).map_err(failed)?;
    match root.kind() {
        FileType::Directory | FileType::RegularFile => Ok(Arc::new(Session::new(root, share))),
        _ => Err(ServeError::Kind(share.source.clone())),
    }
}

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Server {
    input: Mutex<Input>,
    output: Mutex<UnixStream>,
    sessions: Mutex<Vec<Arc<Session>>>,
}

impl Server {
    /// Starts the threads.
    pub(crate) fn start(port: UnixStream) -> Result<Arc<Self>, ServeError> {
        raise_limit();
        port.set_nonblocking(false).map_err(ServeError::Thread)?;
        let output = port.try_clone().map_err(ServeError::Thread)?;
        let server = Arc::new(Self {
            input: Mutex::new(Input::new(port)),
            output: Mutex::new(output),
            sessions: Mutex::default(),
        });
        for number in 0..THREADS {
            let server = Arc::clone(&server);
            std::thread::Builder::new()
                .name(format!("share-{number}"))
                .stack_size(STACK)
                .spawn(move || server.work())
                .map_err(ServeError::Thread)?;
        }
        Ok(server)
    }

    /// Opens the sources, which take the places of those before.
    pub(crate) fn set(&self, shares: &[Share]) -> Result<(), ServeError> {
        let sessions = shares.iter().map(open).collect::<Result<_, _>>()?;
        *lock(&self.sessions) = sessions;
        Ok(())
    }

    /// Serves until the port closes.
    fn work(&self) {
        // It has made no files before; one that makes them with a mask still serves.
        let _ = thread::unmask();
        let mut message = Vec::new();
        let mut answer = Answer::default();
        loop {
            let read = lock(&self.input).next(&mut message);
            if read.is_err() || self.answer(&message, &mut answer).is_err() {
                return;
            }
        }
    }

    fn answer(&self, message: &[u8], answer: &mut Answer) -> io::Result<()> {
        let (number, message) = message.split_at(PREFIX);
        let number = u32::from_le_bytes(number.try_into().map_err(|_| malformed())?);
        let (header, fields) = Header::split(message).map_err(|_| malformed())?;
        answer.clear();
        let session = lock(&self.sessions).get(number as usize).cloned();
        let outcome = match session {
            Some(session) => session.perform(&header, fields, answer),
            None => Outcome::Answered(Err(rustix::io::Errno::NODEV)),
        };
        match outcome {
            Outcome::Answered(result) => {
                let answer = answer.finish(number, header.unique, result);
                lock(&self.output).write_all(answer)
            }
            Outcome::Silent => Ok(()),
        }
    }
}

/// What comes from the guest, cut into messages.
#[derive(Debug)]
struct Input {
    port: UnixStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Input {
    fn new(port: UnixStream) -> Self {
        Self { port, buffer: vec![0; BUFFER].into(), start: 0, end: 0 }
    }

    /// Puts the next message and its prefix into `message`. Fails if the port has closed or what
    /// comes from it makes no sense; then there is nothing more to be had from it.
    fn next(&mut self, message: &mut Vec<u8>) -> io::Result<()> {
        message.clear();
        self.take(PREFIX + 4, message)?;
        let length = message[PREFIX..].try_into().map_err(|_| malformed())?;
        let length = u32::from_le_bytes(length) as usize;
        if !(IN_HEADER..=MAX_MESSAGE).contains(&length) {
            // Nobody reads on, and nobody is answered: the guest has only itself to blame.
            let _ = self.port.shutdown(std::net::Shutdown::Both);
            return Err(malformed());
        }
        self.take(length - 4, message)
    }

    fn take(&mut self, mut wanted: usize, into: &mut Vec<u8>) -> io::Result<()> {
        while wanted > 0 {
            if self.start == self.end {
                (self.start, self.end) = (0, self.fill()?);
            }
            let count = wanted.min(self.end - self.start);
            into.extend_from_slice(&self.buffer[self.start..self.start + count]);
            self.start += count;
            wanted -= count;
        }
        Ok(())
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
