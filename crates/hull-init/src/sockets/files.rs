//! Sockets whose files are in shared directories.
//!
//! The kernel finds a socket by the inode that it was bound to. The host's server of a directory gives
//! the agent names under which the inode of any socket's file is found, and made once more: so the
//! agent can bind a socket to a file that is there already, and connect to one by its number.

use std::os::fd::{AsFd, OwnedFd};

use hull_netlink::bound_to_files;
use hull_protocol::{Duplex, Reply, SocketFile, SocketState};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::{BACKLOG, Dialing, Listener, Place, bound, connect, socket};
use crate::agent::Agent;
use crate::clone::within;
use crate::container::paths::descriptor_path;
use crate::failure::{Context, Failure, Result};

impl Agent {
    /// Listens in the host's place.
    pub(crate) fn stand_in(&mut self, file: &SocketFile) -> Result<Reply> {
        let owner = self.running(&file.container)?.key;
        if self.stands(file).is_some() {
            return Ok(Reply::Done);
        }
        let what = || format!("listen on file {} of share {}", file.node, file.share);
        let directory = self.socket_directory(file.share)?;
        let socket = bound(&format!("{}/+{}", descriptor_path(&directory), file.node));
        let socket = socket.context(what)?;
        rustix::net::listen(&socket, BACKLOG).context(what)?;
        let listener = Listener { socket, share: file.share, place: Place::File(file.node) };
        self.listen(owner, vec![listener]);
        Ok(Reply::Done)
    }

    /// Does so no more.
    pub(crate) fn stand_down(&mut self, file: &SocketFile) -> Result<Reply> {
        if let Some(key) = self.stands(file) {
            self.sockets.listeners.remove(&key);
        }
        Ok(Reply::Done)
    }

    /// Says what processes of the container do with a socket.
    pub(crate) fn probe(&mut self, file: &SocketFile) -> Result<Reply> {
        let what = || format!("look for file {} of share {}", file.node, file.share);
        let directory = self.socket_directory(file.share)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&directory, file.node.to_string(), flags, Mode::empty());
        let stat = opened.and_then(rustix::fs::fstat).context(what)?;
        let container = self.running(&file.container)?;
        let own = container.namespaces() & libc::CLONE_NEWNET;
        let init = self.children.get(&container.init);
        let init = init.ok_or_else(|| Failure::invalid("the container is not running"))?;
        let all = within(init, own, libc::CLONE_NEWNET, || {
            bound_to_files().map_err(|error| Failure::failed(format!("sock_diag: {error}")))
        })?;
        let found = all.iter().find(|socket| socket.is_at(stat.st_dev, stat.st_ino));
        let state = match found {
            None => SocketState::Absent,
            Some(found) if !found.is_stream => SocketState::Messages,
            Some(found) if found.listens => SocketState::Listening,
            Some(_) => SocketState::Bound,
        };
        Ok(Reply::Socket { state })
    }

    /// Begins to connect to a socket.
    pub(crate) fn call(
        &mut self,
        number: u32,
        file: &SocketFile,
        streams: Duplex,
    ) -> Result<Option<Reply>> {
        let owner = self.running(&file.container)?.key;
        let directory = self.socket_directory(file.share)?;
        let path = format!("{}/{}", descriptor_path(&directory), file.node);
        let what = || format!("connect to file {} of share {}", file.node, file.share);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let at_once = socket(flags).context(|| "socket".into())?;
        match connect(&at_once, &path) {
            Ok(()) => return self.carry(at_once, streams, owner).map(Some),
            // Its queue is full.
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno).context(what),
        }
        let socket = socket(SocketFlags::CLOEXEC).context(|| "socket".into())?;
        let keep = [directory.as_fd(), socket.as_fd()];
        self.task(number, Some(file.container.clone()), &keep, || {
            connect(&socket, &path).context(what).map(|()| Reply::Done)
        })?;
        self.sockets.dialing.insert(number, Dialing { socket, owner, streams });
        Ok(None)
    }

    /// The key of the socket that stands for one of the host at a file.
    fn stands(&self, file: &SocketFile) -> Option<u32> {
        let is_it = |listener: &Listener| {
            listener.share == file.share && listener.node() == Some(file.node)
        };
        let mut all = self.sockets.listeners.iter();
        all.find(|(_, owned)| is_it(&owned.listener)).map(|(key, _)| *key)
    }

    fn socket_directory(&mut self, share: u32) -> Result<OwnedFd> {
        let shares = self.shares.as_mut();
        let shares = shares.ok_or_else(|| Failure::not_found("nothing is shared"))?;
        let directory = shares.sockets(share)?;
        rustix::io::fcntl_dupfd_cloexec(directory, 3).context(|| "dup".into())
    }
}
