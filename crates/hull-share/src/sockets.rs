//! Unix sockets in shared directories.
//!
//! A socket's file leads to the socket in the kernel that made both, and nowhere else. So a file on
//! which a process of the host listens gets a socket in the guest, too, before the guest may know it;
//! and where the guest makes such a file, one of the host's is bound to it. Others carry the
//! connections: this is what they are told, and what they ask for.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hull_socket::Address;
use rustix::fs::{Access, FileType, access};
use rustix::io::{Errno, Result};

use crate::SocketEvent;
use crate::nodes::Node;
use crate::server::Thing;

/// Who is told of sockets, if anybody is.
#[derive(Default)]
pub(crate) struct Ear(OnceLock<Box<dyn Fn(SocketEvent) + Send + Sync>>);

impl Ear {
    pub(crate) fn listen(&self, tell: impl Fn(SocketEvent) + Send + Sync + 'static) {
        // There is one who listens.
        let _ = self.0.set(Box::new(tell));
    }

    fn tell(&self, event: SocketEvent) {
        if let Some(tell) = self.0.get() {
            tell(event);
        }
    }
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ear").field(&self.0.get().is_some()).finish()
    }
}

/// The sockets of one share.
#[derive(Debug)]
pub(crate) struct Sockets {
    share: u32,
    ear: Arc<Ear>,
    known: Mutex<HashMap<u64, Known>>,
}

#[derive(Debug)]
enum Known {
    /// A process of the guest has made it. `published`: a socket of the host is bound to it.
    Guests { file: Option<Arc<Node>>, published: bool },
    /// The guest has a socket for one of the host. `seen`: the kernel says that there is one.
    Stands { file: Arc<Node>, seen: bool },
    /// It is getting or losing one; who has asked for it is answered then.
    Changing { file: Arc<Node>, seen: bool, held: Vec<Held> },
}

/// An answer that waits.
#[derive(Debug)]
struct Held {
    message: Vec<u8>,
    under_way: Thing,
}

impl Sockets {
    pub(crate) fn new(share: u32, ear: Arc<Ear>) -> Self {
        Self { share, ear, known: Mutex::default() }
    }

    /// Whether connections to sockets are carried.
    pub(crate) fn are_carried(&self) -> bool {
        self.ear.0.get().is_some()
    }

    /// The guest has looked up `node`: returns whether it may know it at once. Else the answer has to
    /// be held.
    pub(crate) fn look(&self, number: u64, node: &Arc<Node>) -> bool {
        if node.kind() != FileType::Socket || !self.are_carried() {
            return true;
        }
        let stands = match self.lock().get(&number) {
            Some(Known::Changing { .. }) => return false,
            // Of one that is not seen it is heard when somebody connects.
            Some(Known::Guests { .. } | Known::Stands { seen: false, .. }) => return true,
            Some(Known::Stands { .. }) => true,
            None => false,
        };
        // That takes a while.
        let found = find(node, !stands);
        if found.is_some() == stands {
            return true;
        }
        let (share, file) = (self.share, Arc::clone(node));
        let mut known = self.lock();
        match known.get(&number) {
            Some(Known::Stands { .. }) if stands => {
                self.ear.tell(SocketEvent::Deserted { share, node: number, waits: true });
            }
            None if !stands => {
                self.make_room(&mut known);
                if known.len() >= MOST {
                    return true;
                }
                self.ear.tell(SocketEvent::Wanted { share, node: number });
            }
            // Somebody else has looked it up meanwhile.
            other => return !matches!(other, Some(Known::Changing { .. })),
        }
        let seen = found == Some(Found::Seen);
        known.insert(number, Known::Changing { file, seen, held: Vec::new() });
        false
    }

    /// Holds an answer until it is settled whether the guest has a socket; returns the message if that
    /// is so already.
    pub(crate) fn hold(&self, number: u64, message: Vec<u8>, under_way: Thing) -> Option<Vec<u8>> {
        match self.lock().get_mut(&number) {
            Some(Known::Changing { held, .. }) => {
                held.push(Held { message, under_way });
                None
            }
            _ => Some(message),
        }
    }

    /// Says whether the guest has a socket for a file now; returns the answers that have waited for
    /// that, and that they are under way.
    pub(crate) fn settle(&self, number: u64, stands: bool) -> Vec<(Vec<u8>, Thing)> {
        let mut known = self.lock();
        let Some(Known::Changing { file, seen, held }) = known.remove(&number) else {
            return Vec::new();
        };
        if stands {
            known.insert(number, Known::Stands { file, seen });
        }
        held.into_iter().map(|held| (held.message, held.under_way)).collect()
    }

    /// Nobody on the host listens on a file's socket any more.
    pub(crate) fn desert(&self, number: u64) {
        let mut known = self.lock();
        if matches!(known.get(&number), Some(Known::Stands { .. })) {
            known.remove(&number);
            let share = self.share;
            self.ear.tell(SocketEvent::Deserted { share, node: number, waits: false });
        }
    }

    /// The guest has made `node`, and `socket` of the host is bound to it.
    pub(crate) fn made(&self, number: u64, node: &Arc<Node>, socket: Option<OwnedFd>) {
        let mut known = self.lock();
        let socket = socket.filter(|_| known.len() < MOST);
        let (file, published) = (Some(Arc::clone(node)), socket.is_some());
        known.insert(number, Known::Guests { file, published });
        if let Some(socket) = socket {
            self.ear.tell(SocketEvent::Made { share: self.share, node: number, socket });
        }
    }

    /// Files have been unlinked: those that were published are no more.
    pub(crate) fn unlinked(&self) {
        for (number, known) in self.lock().iter_mut() {
            if let Known::Guests { file: Some(node), published } = known
                && *published
                && node.stat().is_ok_and(|stat| stat.stx_nlink == 0)
            {
                *published = false;
                self.ear.tell(SocketEvent::Gone { share: self.share, node: *number });
            }
        }
    }

    /// The guest has forgotten a file: no socket of its is bound to it.
    pub(crate) fn forgotten(&self, number: u64) {
        let share = self.share;
        match self.lock().remove(&number) {
            Some(Known::Guests { published: true, .. }) => {
                self.ear.tell(SocketEvent::Gone { share, node: number });
            }
            Some(Known::Stands { .. }) => {
                self.ear.tell(SocketEvent::Deserted { share, node: number, waits: false });
            }
            _ => {}
        }
    }

    /// Returns the numbers of files that the guest has sockets for, and whether they are its own.
    pub(crate) fn all(&self) -> Vec<(u64, bool)> {
        let known = self.lock();
        known
            .iter()
            .map(|(number, known)| (*number, matches!(known, Known::Guests { .. })))
            .collect()
    }

    /// Takes over what a copy of the guest has: its own sockets are published by the guest that it is
    /// a copy of.
    pub(crate) fn restore(&self, number: u64, node: Arc<Node>, is_guests: bool) {
        let known = match is_guests {
            true => Known::Guests { file: None, published: false },
            false => Known::Stands { file: node, seen: false },
        };
        self.lock().insert(number, known);
    }

    /// Gives up sockets whose files have gone, to have room.
    fn make_room(&self, known: &mut HashMap<u64, Known>) {
        let share = self.share;
        known.retain(|number, known| match known {
            Known::Stands { file, .. } if file.stat().is_ok_and(|stat| stat.stx_nlink == 0) => {
                self.ear.tell(SocketEvent::Deserted { share, node: *number, waits: false });
                false
            }
            _ => true,
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        // Nothing that panics is done under the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds a socket of the host to a new file `name` (any bytes) in a directory.
///
/// # Errors
/// `EEXIST` and others of bind(2).
pub(crate) fn bind(directory: &Node, name: &std::ffi::CStr, mode: u32) -> Result<OwnedFd> {
    use std::os::unix::ffi::OsStrExt as _;

    let place = |name: &[u8]| {
        let name = std::ffi::OsStr::from_bytes(name);
        let address = Address::of(&Path::new(&directory.path()).join(name));
        let bound = address.and_then(|address| hull_socket::bind(&address, mode));
        bound.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::ADDRINUSE) => Errno::EXIST,
            errno => errno.unwrap_or(Errno::IO),
        })
    };
    if directory.path().len() + 1 + name.count_bytes() < LONGEST {
        return place(name.to_bytes());
    }
    // A guest may use names that do not fit into an address together with the way to them here.
    let short = format!(".hull-{}-{:p}", std::process::id(), name);
    let socket = place(short.as_bytes())?;
    let flags = rustix::fs::RenameFlags::NOREPLACE;
    match rustix::fs::renameat_with(directory.fd(), &short, directory.fd(), name, flags) {
        Ok(()) => Ok(socket),
        Err(errno) => {
            // The first failure is the one to tell.
            let _ = rustix::fs::unlinkat(directory.fd(), &short, rustix::fs::AtFlags::empty());
            Err(errno)
        }
    }
}

/// How a process of the host was found that listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    /// The kernel says so.
    Seen,
    /// It has taken a connection.
    Tried,
}

/// Finds out whether a process of the host listens on a socket for streams to which this one may
/// connect. What the kernel does not say is tried if it `may_try`.
fn find(node: &Node, may_try: bool) -> Option<Found> {
    access(node.path(), Access::WRITE_OK).ok()?;
    let stat = rustix::fs::fstat(node.fd()).ok()?;
    let all = hull_netlink::bound_to_files().unwrap_or_default();
    if let Some(found) = all.iter().find(|socket| socket.is_at(stat.st_dev, stat.st_ino)) {
        return (found.is_stream && found.listens).then_some(Found::Seen);
    }
    if !may_try {
        return None;
    }
    // It may be in another network namespace, or on a file system whose numbers are not the
    // kernel's. One that nobody listens on refuses.
    let address = Address::of(Path::new(&node.path()));
    match address.and_then(|address| hull_socket::connect(&address)) {
        Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => None,
        _ => Some(Found::Tried),
    }
}

/// Sockets of one share that are carried.
const MOST: usize = 512;
/// Bytes of `sun_path` (unix(7)), less the one that ends it.
const LONGEST: usize = 107;

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
    use std::sync::mpsc::{Receiver, channel};

    use rustix::fs::{Mode, OFlags};

    use super::*;

    fn node(path: &Path) -> Arc<Node> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Arc::new(Node::new(rustix::fs::open(path, flags, Mode::empty()).unwrap()).unwrap().0)
    }

    fn sockets() -> (Sockets, Receiver<SocketEvent>) {
        let (sender, events) = channel();
        let ear = Arc::new(Ear::default());
        let sender = Mutex::new(sender);
        ear.listen(move |event| sender.lock().unwrap().send(event).unwrap());
        (Sockets::new(3, ear), events)
    }

    #[test]
    fn one_that_is_listened_on_is_wanted_before_it_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let (sockets, events) = sockets();
        let file = node(&path);
        assert!(!sockets.look(7, &file));
        assert!(matches!(events.try_recv(), Ok(SocketEvent::Wanted { share: 3, node: 7 })));
        // Asked for once, however many look.
        assert!(!sockets.look(7, &file));
        assert!(events.try_recv().is_err());
        assert!(sockets.settle(7, true).is_empty());
        assert!(sockets.look(7, &file));
        drop(listener);
        assert!(!sockets.look(7, &file));
        let event = events.try_recv();
        assert!(matches!(event, Ok(SocketEvent::Deserted { node: 7, waits: true, .. })));
        sockets.settle(7, false);
        assert!(sockets.look(7, &file));
        assert!(events.try_recv().is_err());
    }

    #[test]
    fn what_nobody_can_connect_to_is_known_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (sockets, events) = sockets();
        let path = |name: &str| dir.path().join(name);
        drop(UnixListener::bind(path("stale")).unwrap());
        let _messages = UnixDatagram::bind(path("messages")).unwrap();
        std::fs::write(path("file"), "").unwrap();
        for (number, name) in (2..).zip(["stale", "messages", "file"]) {
            assert!(sockets.look(number, &node(&path(name))), "{name}");
        }
        assert!(events.try_recv().is_err());
    }

    #[test]
    fn the_guests_own_are_bound_and_do_not_listen() {
        let dir = tempfile::tempdir().unwrap();
        let (sockets, events) = sockets();
        let directory = node(dir.path());
        for name in ["short", &"n".repeat(200)] {
            let text = std::ffi::CString::new(name).unwrap();
            let bound = bind(&directory, &text, 0o600).unwrap();
            assert_eq!(bind(&directory, &text, 0o600).unwrap_err(), Errno::EXIST, "{name}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{name}");
            let path = dir.path().join(name);
            let file = node(&path);
            sockets.made(2, &file, Some(bound));
            let Ok(SocketEvent::Made { share: 3, node: 2, socket }) = events.try_recv() else {
                panic!("nobody was told");
            };
            assert!(sockets.look(2, &file));
            assert_eq!(sockets.all(), [(2, true)]);
            let connect = || UnixStream::connect(file.path());
            assert!(connect().is_err());
            rustix::net::listen(&socket, 1).unwrap();
            connect().unwrap();
            std::fs::remove_file(&path).unwrap();
            sockets.unlinked();
            assert!(matches!(events.try_recv(), Ok(SocketEvent::Gone { node: 2, .. })));
            sockets.forgotten(2);
            assert!(events.try_recv().is_err());
        }
    }
}
