//! What a server knows of its guest, so that another server, perhaps in another process, can go on
//! with a copy of that guest.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::{Errno, Result};

use crate::State;
use crate::forget::{self, Names};
use crate::handles::Handle;
use crate::nodes::Node;
use crate::session::Session;

impl State {
    pub(crate) fn save(sessions: &[Arc<Session>]) -> Result<Self> {
        let mut state = Self { numbers: vec![FORMAT, sessions.len() as u64], files: Vec::new() };
        for session in sessions {
            state.numbers.push(session.cache.is_agreed().into());
            state.save_nodes(session)?;
            state.save_handles(session)?;
            let waiting = session.locks.waiting();
            state.numbers.push(waiting.len() as u64);
            state.numbers.extend(waiting);
            let sockets = session.sockets.all();
            state.numbers.push(sockets.len() as u64);
            let numbers = |(number, is_guests): (u64, bool)| [number, is_guests.into()];
            state.numbers.extend(sockets.into_iter().flat_map(numbers));
            state.save_names(session);
        }
        Ok(state)
    }

    fn save_nodes(&mut self, session: &Session) -> Result<()> {
        let nodes = session.nodes.all();
        self.numbers.push(nodes.len() as u64);
        for (number, lookups, node) in nodes {
            self.numbers.extend([number, lookups, node.is_watched().into()]);
            self.files.push(rustix::io::fcntl_dupfd_cloexec(node.fd(), 0)?);
        }
        let lost = session.nodes.lost();
        self.numbers.push(lost.len() as u64);
        self.numbers.extend(lost);
        Ok(())
    }

    fn save_handles(&mut self, session: &Session) -> Result<()> {
        let handles = session.handles.all();
        self.numbers.push(handles.len() as u64);
        for (number, handle) in handles {
            self.numbers.extend([number, handle.kind()]);
            self.files.extend(handle.duplicate()?);
        }
        Ok(())
    }

    /// What the guest calls files now: a copy of it has heard of no change after this.
    fn save_names(&mut self, session: &Session) {
        let names = forget::known(session);
        self.numbers.push(names.len() as u64);
        for (directory, name) in names {
            self.numbers.extend([directory, name.len() as u64]);
            self.numbers.extend(name.chunks(8).map(|bytes| {
                let mut number = [0; 8];
                number[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(number)
            }));
        }
    }

    /// Gives `sessions`, which are new and of the same shares, what was saved.
    ///
    /// # Errors
    /// `EINVAL`: it is not what was saved of such shares.
    pub(crate) fn restore(self, sessions: &[Arc<Session>]) -> Result<()> {
        let mut saved = Saved { numbers: self.numbers.into_iter(), files: self.files.into_iter() };
        if saved.number()? != FORMAT || saved.number()? != sessions.len() as u64 {
            return Err(Errno::INVAL);
        }
        for session in sessions {
            session.cache.agree(saved.number()? != 0);
            for _ in 0..saved.number()? {
                let (number, lookups) = (saved.number()?, saved.number()?);
                let watched = saved.number()? != 0;
                let (node, _) = Node::new(saved.file()?)?;
                if let Some(watch) = session.cache.watch().filter(|_| watched) {
                    node.watch(watch);
                }
                session.nodes.restore(number, lookups, node);
            }
            for _ in 0..saved.number()? {
                session.nodes.lose(saved.number()?);
            }
            for _ in 0..saved.number()? {
                let (number, kind) = (saved.number()?, saved.number()?);
                let handle = match kind {
                    Handle::GONE => Handle::Gone,
                    kind => Handle::again(kind, saved.file()?)?,
                };
                session.handles.restore(number, handle);
            }
            for _ in 0..saved.number()? {
                session.locks.give_up(saved.number()?);
            }
            for _ in 0..saved.number()? {
                let (number, is_guests) = (saved.number()?, saved.number()? != 0);
                session.sockets.restore(number, session.nodes.find(number)?, is_guests);
            }
            let names = saved.names()?;
            *session.doubtful() = Some(names);
        }
        Ok(())
    }
}

struct Saved {
    numbers: std::vec::IntoIter<u64>,
    files: std::vec::IntoIter<OwnedFd>,
}

impl Saved {
    fn number(&mut self) -> Result<u64> {
        self.numbers.next().ok_or(Errno::INVAL)
    }

    fn names(&mut self) -> Result<Names> {
        let mut names = Names::new();
        for _ in 0..self.number()? {
            let (directory, length) = (self.number()?, self.number()?);
            let length = usize::try_from(length).map_err(|_| Errno::INVAL)?;
            let mut name = Vec::new();
            while name.len() < length {
                name.extend(self.number()?.to_le_bytes());
            }
            name.truncate(length);
            names.push((directory, name));
        }
        Ok(names)
    }

    fn file(&mut self) -> Result<OwnedFd> {
        self.files.next().ok_or(Errno::INVAL)
    }
}

/// Changes with the order of the numbers.
const FORMAT: u64 = 2;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use crate::wire::{OUT_HEADER, PREFIX, ROOT, init, op};
    use crate::{Server, Share, State};

    /// The guest's end of a port.
    struct Guest(UnixStream);

    impl Guest {
        fn new() -> (Self, Server) {
            let (guest, port) = UnixStream::pair().unwrap();
            (Self(guest), Server::new(port).unwrap())
        }

        /// Sends a request for share 0, and returns the error and what comes with it.
        fn ask(&mut self, opcode: u32, node: u64, fields: &[u8]) -> (i32, Vec<u8>) {
            let length = 40 + fields.len() as u32;
            let mut message = [0, length, opcode].map(u32::to_le_bytes).as_flattened().to_vec();
            message.extend([7, node, 0, 0].map(u64::to_le_bytes).as_flattened());
            message.truncate(PREFIX + 40);
            message.extend(fields);
            self.0.write_all(&message).unwrap();
            loop {
                let mut head = [0; PREFIX + OUT_HEADER];
                self.0.read_exact(&mut head).unwrap();
                let word = |at: usize| i32::from_le_bytes(head[at..at + 4].try_into().unwrap());
                let mut body = vec![0; word(PREFIX) as usize - OUT_HEADER];
                self.0.read_exact(&mut body).unwrap();
                // The others are notifications.
                if word(PREFIX + 8) == 7 {
                    return (word(PREFIX + 4), body);
                }
            }
        }

        fn read(&mut self, handle: u64) -> Vec<u8> {
            let fields = [&handle.to_le_bytes()[..], &[0; 8], &[16, 0, 0, 0], &[0; 20]].concat();
            let (error, content) = self.ask(op::READ, 0, &fields);
            assert_eq!(error, 0);
            content
        }
    }

    fn save(server: &Server) -> State {
        // Who has answered is done a moment later.
        loop {
            if let Some(resting) = server.rest().unwrap() {
                return resting.save().unwrap();
            }
        }
    }

    fn first(body: &[u8]) -> u64 {
        u64::from_le_bytes(body[..8].try_into().unwrap())
    }

    #[test]
    fn a_copy_of_a_guest_goes_on_with_what_it_has_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["kept", "gone"] {
            std::fs::write(path(name), name).unwrap();
        }
        let shares = [Share { source: dir.path().into(), ..Share::default() }];
        let (mut guest, server) = Guest::new();
        server.set(&shares).unwrap();
        let offered = init::MAX_PAGES | init::EXT | init::EXPLICIT_INVAL_DATA;
        let fields = [7, 41, 0, offered, init::DIRECT_IO_ALLOW_MMAP].map(u32::to_le_bytes);
        assert_eq!(guest.ask(op::INIT, 0, fields.as_flattened()).0, 0);
        let mut open = |name: &str| {
            let node = first(&guest.ask(op::LOOKUP, ROOT, name.as_bytes()).1);
            (node, first(&guest.ask(op::OPEN, node, &[0; 8]).1))
        };
        let ((node, kept), (_, gone)) = (open("kept\0"), open("gone\0"));
        std::fs::remove_file(path("gone")).unwrap();

        let (mut copy, another) = Guest::new();
        another.restore(&shares, save(&server)).unwrap();
        assert_eq!(copy.read(gone), b"gone");
        // What one closes the other still has open.
        assert_eq!(guest.ask(op::RELEASE, node, &kept.to_le_bytes()).0, 0);
        assert_eq!(copy.read(kept), b"kept");
        assert_eq!(copy.ask(op::GETATTR, node, &[0; 16]).0, 0);
        // Numbers go on, too.
        let (error, opened) = copy.ask(op::OPEN, node, &[0; 8]);
        assert!(error == 0 && first(&opened) > gone.max(kept));
    }

    #[test]
    fn a_server_rests_when_the_guest_has_read_all_and_asks_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let shares = [Share { source: dir.path().into(), ..Share::default() }];
        let (mut guest, server) = Guest::new();
        server.set(&shares).unwrap();
        drop(save(&server));
        // The first part of a request, which nobody can have answered.
        guest.0.write_all(&[0; PREFIX]).unwrap();
        assert!(server.rest().unwrap().is_none());
        // The rest of it: 40 bytes, and an operation that there is none of.
        guest.0.write_all([40, 9999].map(u32::to_le_bytes).as_flattened()).unwrap();
        guest.0.write_all(&[0; 32]).unwrap();
        let mut answer = [0; PREFIX + OUT_HEADER];
        guest.0.read_exact(&mut answer[..1]).unwrap();
        assert!(server.rest().unwrap().is_none());
        guest.0.read_exact(&mut answer[1..]).unwrap();
        drop(save(&server));
    }

    #[test]
    fn what_was_not_saved_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let shares = [Share { source: dir.path().into(), ..Share::default() }];
        let (_guest, server) = Guest::new();
        server.set(&shares).unwrap();
        let mut state = save(&server);
        state.numbers.pop();
        assert!(server.restore(&shares, state).is_err());
        assert!(server.restore(&[], save(&server)).is_err());
        server.restore(&shares, save(&server)).unwrap();
    }
}
