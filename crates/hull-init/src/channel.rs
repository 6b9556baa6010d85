//! The byte channel to the host, and what waits to be sent on it.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use hull_protocol::frame::HEADER_LEN;
use hull_protocol::{Frame, Kind, PORT_NAME};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, netlink};

/// An ordered byte channel to the host: a virtio-serial port today, a vsock connection elsewhere.
pub(crate) trait Channel {
    /// What to wait on.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Reads without blocking; 0 bytes: nobody is at the other end now.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;

    /// Writes without blocking.
    fn write(&mut self, bytes: &[u8]) -> Result<usize>;

    /// Writes all of `bytes`, and returns when the host has them.
    fn write_last(&mut self, bytes: &[u8]) -> Result<()>;
}

/// The virtio-serial port named [`PORT_NAME`].
#[derive(Debug)]
pub(crate) struct Port(OwnedFd);

impl Port {
    /// Waits for the port to appear and opens it.
    pub(crate) fn open() -> Result<Self> {
        // The kernel tells the name in a message of its own, after the port itself is there.
        let events = device_events()?;
        loop {
            if let Some(port) = open_port(PORT_NAME)? {
                return Ok(Self(port));
            }
            wait_event(&events, Duration::from_millis(20));
        }
    }
}

impl Channel for Port {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        rustix::io::read(&self.0, buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        rustix::io::write(&self.0, bytes)
    }

    fn write_last(&mut self, mut bytes: &[u8]) -> Result<()> {
        // A blocking write to a port returns only when the host has taken the buffer.
        rustix::fs::fcntl_setfl(&self.0, OFlags::RDWR)?;
        while !bytes.is_empty() {
            match rustix::io::write(&self.0, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// Bytes on their way to the host: `start..end` of a buffer that only ever grows, so that reading
/// into it costs no clearing.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Outbox {
    /// Above this many waiting bytes no more is read from the containers' streams.
    pub(crate) const LIMIT: usize = 256 << 10;

    pub(crate) fn push(&mut self, kind: Kind, stream: u32, payload: &[u8]) {
        let header = Frame::header(kind, stream, payload.len());
        for part in [&header[..], payload] {
            self.room(part.len()).copy_from_slice(part);
            self.end += part.len();
        }
    }

    /// Appends a data frame of `stream` with what `read` puts into a buffer of `limit` bytes.
    /// Nothing is appended if it reads nothing.
    pub(crate) fn push_data(
        &mut self,
        stream: u32,
        limit: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        let (header, payload) = self.room(HEADER_LEN + limit).split_at_mut(HEADER_LEN);
        let length = read(payload)?;
        if length > 0 {
            header.copy_from_slice(&Frame::header(Kind::Data, stream, length));
            self.end += HEADER_LEN + length;
        }
        Ok(length)
    }

    /// Writes what the channel takes; `false` if something is left.
    pub(crate) fn flush(&mut self, channel: &mut dyn Channel) -> Result<bool> {
        while !self.is_empty() {
            match channel.write(self.waiting()) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(false),
                Ok(written) => self.start += written,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.clear();
        Ok(true)
    }

    pub(crate) fn waiting(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn is_full(&self) -> bool {
        self.end - self.start >= Self::LIMIT
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Returns `length` bytes behind the waiting ones.
    fn room(&mut self, length: usize) -> &mut [u8] {
        if self.start > Self::LIMIT {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.end + length {
            self.buffer.resize(self.end + length, 0);
        }
        &mut self.buffer[self.end..self.end + length]
    }
}

/// Opens the virtio-serial port `name`, which does not block; `None`: there is none, yet.
pub(crate) fn open_port(name: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let opened = find_port(name).map(|path| rustix::fs::open(path, flags, Mode::empty()));
    opened.transpose()
}

fn find_port(wanted: &str) -> Option<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports").ok()?.flatten() {
        let name = fs::read_to_string(entry.path().join("name"));
        if name.is_ok_and(|name| name.trim_end() == wanted) {
            return Some(PathBuf::from("/dev").join(entry.file_name()));
        }
    }
    None
}

/// Opens a socket that becomes readable when a device comes, goes or changes.
pub(crate) fn device_events() -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(netlink::KOBJECT_UEVENT),
    )?;
    rustix::net::bind(&socket, &netlink::SocketAddrNetlink::new(0, 1))?;
    Ok(socket)
}

/// Waits until a device comes, goes or changes, for at most `timeout`.
pub(crate) fn wait_event(events: &OwnedFd, timeout: Duration) {
    let mut fds = [PollFd::new(events, PollFlags::IN)];
    let timeout =
        Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    let _ = poll(&mut fds, Some(&timeout));
    let mut buffer = [0; 4096];
    while rustix::net::recv(events, &mut buffer[..], RecvFlags::empty()).is_ok() {}
}

#[cfg(test)]
mod tests {
    use hull_protocol::Decoder;

    use super::*;

    /// Takes at most `room` bytes, then is full.
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Channel for Narrow {
        fn fd(&self) -> BorrowedFd<'_> {
            rustix::stdio::stdin()
        }

        fn read(&mut self, _: &mut [u8]) -> Result<usize> {
            Err(Errno::AGAIN)
        }

        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            let length = bytes.len().min(self.room).min(1000);
            if length == 0 {
                return Err(Errno::AGAIN);
            }
            self.room -= length;
            self.taken.extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn write_last(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn frames_survive_a_narrow_channel() {
        let mut outbox = Outbox::default();
        let mut channel = Narrow { taken: Vec::new(), room: 0 };
        let mut sent = Vec::new();
        for round in 0..100_u32 {
            let byte = round as u8;
            outbox.push(Kind::Event, round, &[byte; 77]);
            sent.push((Kind::Event, vec![byte; 77]));
            let read = |buffer: &mut [u8]| {
                buffer[..9000].fill(byte);
                Ok(9000)
            };
            assert_eq!(outbox.push_data(round, 32768, read), Ok(9000));
            sent.push((Kind::Data, vec![byte; 9000]));
            assert_eq!(outbox.push_data(round, 10, |_| Err(Errno::AGAIN)), Err(Errno::AGAIN));
            channel.room = 5000 + 100 * round as usize;
            outbox.flush(&mut channel).unwrap();
        }
        channel.room = usize::MAX;
        assert!(outbox.flush(&mut channel).unwrap() && outbox.is_empty());
        let mut decoder = Decoder::default();
        decoder.extend(&channel.taken);
        for expected in sent {
            let frame = decoder.next_frame().unwrap().unwrap();
            assert_eq!((frame.kind, frame.payload), expected);
        }
        assert_eq!(decoder.next_frame(), Ok(None));
    }
}
