//! The service: one process per state directory, outside of the namespace.

mod left;
mod member;
mod orphans;
mod state;

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use hull_socket::Address;
use rustix::fs::FlockOperation;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::namespace::{Namespace, NamespaceError};
use crate::protocol::Files;
use crate::task::Task;

use orphans::Orphans;
use state::State;

/// Serves the containers of the state directory `home` until there have been none for a while, or
/// returns at once if another process does. `ready` is closed when clients can connect. `program`
/// is started as `<program> network-door ..` in the namespace. `kept` is the namespace that a member
/// of a service before has kept.
///
/// # Errors
/// [`ServiceError`].
pub fn run(
    program: &Path,
    home: &Path,
    kept: Option<[PathBuf; 2]>,
    ready: OwnedFd,
) -> Result<(), ServiceError> {
    // It outlives whoever started it. Fails if the process leads a session already.
    let _ = rustix::process::setsid();
    raise_descriptors();
    let files = Files::new(home);
    let Some(lock) = lock(&files)? else {
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServiceError::Runtime)?;
    let served = LocalSet::new().block_on(&runtime, async {
        let listener = listen(&files).map_err(ServiceError::Listen)?;
        drop(ready);
        let mut namespace = open_namespace(program, home, kept, &files)?;
        let orphans = Orphans::watch(&mut namespace).map_err(ServiceError::Netlink)?;
        let state = State::new(namespace).map_err(ServiceError::Start)?;
        let shared = Rc::new(Shared::new(state));
        let _orphans = Task::spawn(orphans.sweep(Rc::clone(&shared)));
        serve(listener, shared).await;
        Ok(())
    });
    // Still under the lock: nobody else's files are removed.
    let _ = fs::remove_file(files.dir().join(Files::SOCKET));
    let _ = fs::remove_file(files.door());
    drop(lock);
    served
}

/// Why the service does not run.
#[derive(Debug, Error)]
pub enum ServiceError {
    #[error("cannot write `{}`", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the network service cannot listen")]
    Listen(#[source] io::Error),
    #[error("cannot lock `{}`", .path.display())]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error("the kernel does not speak netlink")]
    Netlink(#[source] io::Error),
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot set up the network namespace")]
    Start(#[source] io::Error),
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    state: RefCell<State>,
    /// A member has come or gone.
    changed: Notify,
    quit: Notify,
}

impl Shared {
    fn new(state: State) -> Self {
        Self { state: RefCell::new(state), changed: Notify::new(), quit: Notify::new() }
    }

    fn is_idle(&self) -> bool {
        self.state.borrow().is_idle()
    }
}

async fn serve(listener: UnixListener, shared: Rc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = idle(&shared) => return,
            () = shared.quit.notified() => {
                if shared.is_idle() {
                    return;
                }
                continue;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::task::spawn_local(member::converse(stream, Rc::clone(&shared)));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Returns when there have been no members for a while.
async fn idle(shared: &Shared) {
    loop {
        let changed = shared.changed.notified();
        if shared.is_idle() {
            tokio::select! {
                () = tokio::time::sleep(LINGER) => return,
                () = changed => {}
            }
        } else {
            changed.await;
        }
    }
}

/// Every connection through a published port has two descriptors, and the usual limit is for
/// programs that use select(2).
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, fewer connections are served at once.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Takes the lock; `None` if another service has it.
fn lock(files: &Files) -> Result<Option<File>, ServiceError> {
    let path = files.lock();
    let fail = |source| ServiceError::Lock { path: path.clone(), source };
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(fail)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(fail(errno.into())),
    }
}

fn listen(files: &Files) -> io::Result<UnixListener> {
    match fs::remove_file(files.dir().join(Files::SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    hull_socket::listen(&Address::new(files.dir(), Files::SOCKET)?)
}

/// Opens the namespace that the service before has left, or a new one.
fn open_namespace(
    program: &Path,
    home: &Path,
    kept: Option<[PathBuf; 2]>,
    files: &Files,
) -> Result<Namespace, ServiceError> {
    let path = files.door();
    // All of them are looked at, so that no note of one that was killed stays.
    let members: Vec<_> = left::members(files).collect();
    let left = left::door(home, &path).into_iter().chain(kept).chain(members);
    // What they lead to may end while it is being opened.
    let mut left = left.filter_map(|paths| {
        let opened = Namespace::open(program, home, Some(paths));
        opened.inspect_err(|error| tracing::warn!(%error, "a namespace cannot be used")).ok()
    });
    let namespace = match left.next() {
        Some(namespace) => namespace,
        None => Namespace::open(program, home, None)?,
    };
    fs::write(&path, namespace.pid().to_string())
        .map_err(|source| ServiceError::File { path, source })?;
    Ok(namespace)
}

/// How long the service waits for the next container.
const LINGER: Duration = Duration::from_secs(60);
