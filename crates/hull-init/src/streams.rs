//! Byte streams between the host and descriptors of the guest, with a window each way.
//!
//! Output: a descriptor is read only while the host has granted credit and the channel keeps up,
//! so that a process that writes faster than the host reads blocks on its pipe. Input: bytes wait
//! here, never more than the window, until the process takes them.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use hull_protocol::frame::MAX_DATA;
use hull_protocol::{Duplex, INITIAL_WINDOW, Kind, RecvWindow, SendWindow};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use crate::channel::Outbox;
use crate::poller::{Poller, Token};

/// All open streams, by number.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    outputs: BTreeMap<u32, Output>,
    inputs: BTreeMap<u32, Input>,
}

impl Streams {
    /// Whether `stream` is in use.
    pub(crate) fn contains(&self, stream: u32) -> bool {
        self.outputs.contains_key(&stream) || self.inputs.contains_key(&stream)
    }

    /// Sends what `fd` (not blocking) delivers as `stream`, which belongs to the container with the
    /// key `owner`.
    pub(crate) fn add_output(&mut self, stream: u32, fd: OwnedFd, owner: Option<u32>) {
        self.outputs.insert(stream, Output::new(fd, owner));
    }

    /// Lets `streams` be the two directions of a connection (not blocking) of the container with the
    /// key `owner`.
    pub(crate) fn add_connection(
        &mut self,
        streams: Duplex,
        socket: OwnedFd,
        owner: u32,
        poller: &Poller,
    ) -> rustix::io::Result<()> {
        let reading = rustix::io::fcntl_dupfd_cloexec(&socket, 3)?;
        let output = Output { socket: true, ..Output::new(reading, Some(owner)) };
        self.outputs.insert(streams.output, output);
        self.add_input(streams.input, socket, Sink::Socket, poller);
        Ok(())
    }

    /// Writes what comes on `stream` to `fd` (not blocking).
    pub(crate) fn add_input(&mut self, stream: u32, fd: OwnedFd, sink: Sink, poller: &Poller) {
        // Errors are reported even with no interest: the reader closing its end is one.
        let _ = poller.add(&fd, Token::Input(stream), EventFlags::empty());
        let input = Input {
            fd,
            queue: Vec::new(),
            start: 0,
            window: RecvWindow::default(),
            ended: false,
            sink,
            waiting: false,
        };
        self.inputs.insert(stream, input);
    }

    /// Forgets a stream, in whatever state it is.
    pub(crate) fn remove(&mut self, stream: u32, poller: &Poller) {
        // The other direction of a connection may go on, and its other end may have gone.
        if let Some(output) = self.outputs.remove(&stream) {
            output.unregister(poller);
            if output.socket {
                let _ = shutdown(&output.fd, Shutdown::Read);
            }
        }
        if let Some(input) = self.inputs.remove(&stream) {
            poller.remove(&input.fd);
            if input.sink == Sink::Socket {
                let _ = shutdown(&input.fd, Shutdown::Write);
            }
        }
    }

    /// Gives streams new numbers, and windows as if they were new; forgets all others.
    pub(crate) fn rename(&mut self, names: &BTreeMap<u32, u32>, poller: &Poller) {
        for (stream, mut output) in std::mem::take(&mut self.outputs) {
            output.unregister(poller);
            if let Some(new) = names.get(&stream) {
                output.registered = false;
                output.window = SendWindow::default();
                self.outputs.insert(*new, output);
            }
        }
        for (stream, input) in std::mem::take(&mut self.inputs) {
            poller.remove(&input.fd);
            if let Some(new) = names.get(&stream) {
                let interest = match input.waiting {
                    true => EventFlags::OUT,
                    false => EventFlags::empty(),
                };
                let _ = poller.add(&input.fd, Token::Input(*new), interest);
                let input = Input { window: RecvWindow::default(), ended: false, ..input };
                self.inputs.insert(*new, input);
            }
        }
    }

    /// Forgets the outputs of a container, whether all was sent or not.
    pub(crate) fn remove_owned(&mut self, owner: u32, poller: &Poller) {
        let owned = self.outputs.extract_if(.., |_, output| output.owner == Some(owner));
        for (_, output) in owned {
            output.unregister(poller);
        }
    }

    /// Reads from the descriptor of `stream` what may be sent now.
    pub(crate) fn pump(&mut self, stream: u32, poller: &Poller, outbox: &mut Outbox) {
        let Some(output) = self.outputs.get_mut(&stream) else {
            return;
        };
        if output.pump(stream, poller, outbox) == Pumped::Ended {
            outbox.push(Kind::Eof, stream, &[]);
            self.remove(stream, poller);
        }
    }

    /// Goes on with outputs that waited for the channel.
    pub(crate) fn pump_waiting(&mut self, poller: &Poller, outbox: &mut Outbox) {
        let waiting: Vec<u32> = self
            .outputs
            .iter()
            .filter(|(_, output)| !output.registered && output.window.available() > 0)
            .map(|(stream, _)| *stream)
            .collect();
        for stream in waiting {
            if outbox.is_full() {
                return;
            }
            self.pump(stream, poller, outbox);
        }
    }

    /// Notes that the process behind an output has ended: what it has written so far is sent, then
    /// [`Streams::is_drained`] says so, even if another process holds the other end open.
    pub(crate) fn drain(&mut self, stream: u32, poller: &Poller, outbox: &mut Outbox) {
        if let Some(output) = self.outputs.get_mut(&stream) {
            // A terminal cannot tell how much it holds, but it is never more than this.
            let held = rustix::io::ioctl_fionread(&output.fd).unwrap_or(0) as usize;
            output.drain = Drain::Left(held.max(128 << 10));
        }
        self.pump(stream, poller, outbox);
    }

    /// Whether all that was written before [`Streams::drain`] has been sent.
    pub(crate) fn is_drained(&self, stream: u32) -> bool {
        self.outputs.get(&stream).is_none_or(|output| output.drain == Drain::Done)
    }

    /// Takes data from the host.
    pub(crate) fn data(&mut self, stream: u32, bytes: &[u8], poller: &Poller, outbox: &mut Outbox) {
        let Some(input) = self.inputs.get_mut(&stream) else {
            // Sent before the host saw the reset.
            return;
        };
        if input.ended || input.waiting_bytes() + bytes.len() > INITIAL_WINDOW as usize {
            self.reset(stream, poller, outbox);
            return;
        }
        input.queue.extend_from_slice(bytes);
        self.feed(stream, poller, outbox);
    }

    /// Takes the end of an input from the host.
    pub(crate) fn end(&mut self, stream: u32, poller: &Poller, outbox: &mut Outbox) {
        if let Some(input) = self.inputs.get_mut(&stream) {
            input.ended = true;
            self.feed(stream, poller, outbox);
        }
    }

    /// Takes credit from the host.
    pub(crate) fn credit(&mut self, stream: u32, bytes: u32, poller: &Poller, outbox: &mut Outbox) {
        if let Some(output) = self.outputs.get_mut(&stream) {
            output.window.grant(bytes);
            if !output.registered {
                self.pump(stream, poller, outbox);
            }
        }
    }

    /// Writes what waits for the descriptor of an input.
    pub(crate) fn feed(&mut self, stream: u32, poller: &Poller, outbox: &mut Outbox) {
        let Some(input) = self.inputs.get_mut(&stream) else {
            return;
        };
        match input.feed(stream, poller) {
            Ok(Fed { consumed, done }) => {
                if let Some(credit) = input.window.consume(consumed)
                    && !input.ended
                {
                    outbox.push(Kind::Credit, stream, &credit.to_le_bytes());
                }
                if done {
                    self.remove(stream, poller);
                }
            }
            Err(_) => self.reset(stream, poller, outbox),
        }
    }

    /// The descriptor of an input reported an error: its reader is gone.
    pub(crate) fn broken(&mut self, stream: u32, poller: &Poller, outbox: &mut Outbox) {
        if let Some(input) = self.inputs.get(&stream)
            && input.sink == Sink::Terminal
        {
            // A terminal with no process at it may get one again.
            poller.remove(&input.fd);
            return;
        }
        self.reset(stream, poller, outbox);
    }

    fn reset(&mut self, stream: u32, poller: &Poller, outbox: &mut Outbox) {
        if self.inputs.contains_key(&stream) {
            outbox.push(Kind::Reset, stream, &[]);
            self.remove(stream, poller);
        }
    }
}

/// What an input is written to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sink {
    Pipe,
    Socket,
    Terminal,
}

#[derive(Debug)]
struct Output {
    fd: OwnedFd,
    owner: Option<u32>,
    /// It is one direction of a connection.
    socket: bool,
    window: SendWindow,
    /// The poller watches the descriptor.
    registered: bool,
    drain: Drain,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Drain {
    No,
    /// This many bytes may still be of the process that ended.
    Left(usize),
    Done,
}

#[derive(Debug, Eq, PartialEq)]
enum Pumped {
    Open,
    Ended,
}

impl Output {
    fn new(fd: OwnedFd, owner: Option<u32>) -> Self {
        Self {
            fd,
            owner,
            socket: false,
            window: SendWindow::default(),
            registered: false,
            drain: Drain::No,
        }
    }

    fn pump(&mut self, stream: u32, poller: &Poller, outbox: &mut Outbox) -> Pumped {
        // Bounded, so that one busy stream does not starve the rest.
        for _ in 0..8 {
            let limit = self.window.available().min(MAX_DATA);
            if limit == 0 || outbox.is_full() {
                self.unregister(poller);
                self.registered = false;
                return Pumped::Open;
            }
            let read = outbox.push_data(stream, limit, |buffer| rustix::io::read(&self.fd, buffer));
            match read {
                // A terminal whose last process is gone reports EIO.
                Ok(0) | Err(Errno::IO) => return Pumped::Ended,
                Ok(length) => {
                    self.window.take(length);
                    if let Drain::Left(left) = self.drain {
                        self.drain = match left.checked_sub(length) {
                            None | Some(0) => Drain::Done,
                            Some(left) => Drain::Left(left),
                        };
                    } else if length < limit {
                        break;
                    }
                }
                Err(Errno::AGAIN) => {
                    if self.drain != Drain::No {
                        self.drain = Drain::Done;
                    }
                    break;
                }
                Err(Errno::INTR) => {}
                Err(_) => return Pumped::Ended,
            }
        }
        if !self.registered {
            let added = poller.add(&self.fd, Token::Output(stream), EventFlags::IN);
            self.registered = added.is_ok();
        }
        Pumped::Open
    }

    fn unregister(&self, poller: &Poller) {
        if self.registered {
            poller.remove(&self.fd);
        }
    }
}

#[derive(Debug)]
struct Input {
    fd: OwnedFd,
    queue: Vec<u8>,
    start: usize,
    window: RecvWindow,
    /// The host sends no more.
    ended: bool,
    sink: Sink,
    /// The poller watches for room.
    waiting: bool,
}

struct Fed {
    consumed: usize,
    done: bool,
}

impl Input {
    fn waiting_bytes(&self) -> usize {
        self.queue.len() - self.start
    }

    fn feed(&mut self, stream: u32, poller: &Poller) -> rustix::io::Result<Fed> {
        let mut consumed = 0;
        while self.waiting_bytes() > 0 {
            match rustix::io::write(&self.fd, &self.queue[self.start..]) {
                Ok(written) => {
                    self.start += written;
                    consumed += written;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        let blocked = self.waiting_bytes() > 0;
        if !blocked {
            self.queue.clear();
            self.start = 0;
        } else if self.start >= 64 << 10 {
            self.queue.drain(..self.start);
            self.start = 0;
        }
        if blocked != self.waiting {
            let interest = match blocked {
                true => EventFlags::OUT,
                false => EventFlags::empty(),
            };
            match poller.modify(&self.fd, Token::Input(stream), interest) {
                Err(Errno::NOENT) => poller.add(&self.fd, Token::Input(stream), interest)?,
                other => other?,
            }
            self.waiting = blocked;
        }
        Ok(Fed {
            consumed,
            // The end of input on a terminal is a character that a program sends, not a hangup.
            done: self.ended && !blocked && self.sink != Sink::Terminal,
        })
    }
}
