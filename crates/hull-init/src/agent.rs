//! The agent's state and its loop: what the channel, the children and the kernel report.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use hull_protocol::{Decoder, Event, Frame, Hello, Kind, Reply, Response, RpcError, VERSION};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use crate::channel::{Channel, Outbox};
use crate::child::Child;
use crate::console::{self, phase};
use crate::container::{Container, Keys, Shells};
use crate::disks::Disks;
use crate::failure::{Failure, Result};
use crate::interfaces::Interfaces;
use crate::kernel_log::KernelLog;
use crate::poller::{Poller, Token};
use crate::setup;
use crate::share::Shares;
use crate::sockets::Sockets;
use crate::streams::Streams;
use crate::sys;

/// Everything that the agent knows.
pub(crate) struct Agent {
    pub(crate) poller: Poller,
    channel: Box<dyn Channel>,
    /// Whether the poller watches the channel for room.
    channel_blocked: bool,
    /// Nobody is at the channel's other end; it is looked at again by time.
    disconnected: bool,
    /// Where the channel is read into.
    input: Vec<u8>,
    decoder: Decoder,
    pub(crate) outbox: Outbox,
    pub(crate) streams: Streams,
    signals: OwnedFd,
    pub(crate) disks: Disks,
    pub(crate) containers: BTreeMap<String, Container>,
    pub(crate) children: BTreeMap<u32, Child>,
    next_key: u32,
    greeted: bool,
    /// Nothing is said but answers: the machine is about to be cloned, or a clone.
    pub(crate) quiet: bool,
    is_set_up: bool,
    pub(crate) configured: bool,
    /// Containers made ahead.
    pub(crate) shells: Option<Shells>,
    /// Carries what the host shares, once there has been need of it.
    pub(crate) shares: Option<Shares>,
    /// Sockets of the host that containers have, and connections on their way.
    pub(crate) sockets: Sockets,
    pub(crate) kernel_log: KernelLog,
    pub(crate) interfaces: Interfaces,
    /// Request to end the machine.
    pub(crate) shutdown: Option<u32>,
    /// When it ends even if a container is left.
    pub(crate) shutdown_by: Option<Instant>,
}

impl Agent {
    pub(crate) fn new(channel: Box<dyn Channel>) -> rustix::io::Result<Self> {
        let poller = Poller::new()?;
        let signals = sys::signalfd(&[libc::SIGCHLD])?;
        poller.add(&signals, Token::Signals, EventFlags::IN)?;
        poller.add(channel.fd(), Token::Channel, EventFlags::IN)?;
        Ok(Self {
            poller,
            channel,
            channel_blocked: false,
            disconnected: false,
            input: vec![0; 64 << 10],
            decoder: Decoder::default(),
            outbox: Outbox::default(),
            streams: Streams::default(),
            signals,
            disks: Disks::default(),
            containers: BTreeMap::new(),
            children: BTreeMap::new(),
            next_key: 1,
            greeted: false,
            quiet: false,
            is_set_up: false,
            configured: false,
            shells: None,
            shares: None,
            sockets: Sockets::default(),
            kernel_log: KernelLog::default(),
            interfaces: Interfaces::default(),
            shutdown: None,
            shutdown_by: None,
        })
    }

    /// Serves the host until the machine ends.
    pub(crate) fn run(mut self) -> rustix::io::Result<Infallible> {
        // The host usually has spoken by now. Answer before anything else is set up.
        self.read_channel();
        self.set_up();
        loop {
            self.stay_quiet();
            self.streams.pump_waiting(&self.poller, &mut self.outbox);
            self.settle();
            self.flush();
            let events = self.poller.wait(self.timeout());
            if self.disconnected {
                self.reconnect();
            }
            for (token, flags) in events {
                self.dispatch(token, flags);
                if self.quiet {
                    // What else has happened is heard of again.
                    break;
                }
            }
        }
    }

    /// Mounts what containers need, once, after the greeting has been answered.
    fn set_up(&mut self) {
        if std::mem::replace(&mut self.is_set_up, true) {
            return;
        }
        self.flush();
        phase("greeted");
        if let Err(errno) = setup::late() {
            panic!("cannot set up the guest: {errno}");
        }
        phase("set up");
    }

    /// Returns a number that no child and no container has.
    pub(crate) fn key(&mut self) -> u32 {
        self.next_key += 1;
        self.next_key
    }

    pub(crate) fn keys(&mut self) -> Keys {
        Keys { container: self.key(), child: self.key() }
    }

    pub(crate) fn respond(&mut self, request: u32, result: Result<Reply>) {
        let response = match result {
            Ok(reply) => Response::Ok(reply),
            Err(failure) => Response::Error(RpcError::from(failure)),
        };
        self.send(Kind::Response, request, &response);
    }

    pub(crate) fn channel_fd(&self) -> BorrowedFd<'_> {
        self.channel.fd()
    }

    /// Whether something waits for room in the channel.
    pub(crate) fn is_blocked(&self) -> bool {
        self.channel_blocked
    }

    /// Whether this is a template, or was forked from one.
    pub(crate) fn is_prepared(&self) -> bool {
        self.kernel_log.is_skipped()
    }

    /// Sends what the kernel has logged, unless that has been done.
    pub(crate) fn send_kernel_log(&mut self) {
        for text in self.kernel_log.take() {
            self.event(&Event::KernelLog { text });
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        self.send(Kind::Event, 0, event);
    }

    /// Sends everything that waits, and returns when the host has it.
    pub(crate) fn flush_last(&mut self) {
        let _ = self.channel.write_last(self.outbox.waiting());
        self.outbox.clear();
    }

    fn send(&mut self, kind: Kind, stream: u32, message: &impl serde::Serialize) {
        match serde_json::to_vec(message) {
            Ok(payload) if payload.len() <= hull_protocol::MAX_PAYLOAD => {
                self.outbox.push(kind, stream, &payload);
            }
            Ok(_) if kind == Kind::Response => {
                let failure = Failure::failed("the answer is too long for the channel");
                self.respond(stream, Err(failure));
            }
            // None of the messages has a map with keys that are not strings.
            other => console::say(&format!("cannot send a message: {:?}", other.err())),
        }
    }

    fn timeout(&self) -> Option<u32> {
        let polls = self.shutdown.is_some()
            || self.containers.values().any(|c| c.delete.is_some() || !c.freezing.is_empty());
        match (polls, self.disconnected) {
            (true, _) => Some(5),
            (false, true) => Some(20),
            (false, false) => self.kernel_log.timeout(),
        }
    }

    fn dispatch(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Channel => {
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.read_channel();
                }
            }
            Token::Signals => {
                let mut buffer = [0; 1024];
                while rustix::io::read(&self.signals, &mut buffer).is_ok() {}
                self.reap();
            }
            Token::Output(stream) => {
                self.streams.pump(stream, &self.poller, &mut self.outbox);
            }
            Token::Input(stream) => {
                if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
                    self.streams.broken(stream, &self.poller, &mut self.outbox);
                } else {
                    self.streams.feed(stream, &self.poller, &mut self.outbox);
                }
            }
            Token::Child(key) => self.child_reports(key),
            Token::Memory(key) => self.memory_event(key),
            // Looked at in `settle`.
            Token::Cgroup(_) => {}
            Token::Links => self.links_changed(),
            Token::Listener(key) => self.accept(key),
        }
    }

    pub(crate) fn read_channel(&mut self) {
        for _ in 0..8 {
            match self.channel.read(&mut self.input) {
                Ok(0) => {
                    self.disconnect();
                    return;
                }
                Ok(length) => {
                    self.decoder.extend(&self.input[..length]);
                    self.take_frames();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(errno) => panic!("read from the channel: {errno}"),
            }
        }
    }

    fn take_frames(&mut self) {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => self.frame(&frame),
                Ok(None) => return,
                Err(error) => panic!("the host does not speak the protocol: {error}"),
            }
        }
    }

    fn frame(&mut self, frame: &Frame) {
        let stream = frame.stream;
        match frame.kind {
            Kind::Hello => self.greet(frame),
            Kind::Request if self.greeted => {
                self.set_up();
                self.request(stream, &frame.payload);
            }
            Kind::Data => {
                self.streams.data(stream, &frame.payload, &self.poller, &mut self.outbox);
            }
            Kind::Eof => self.streams.end(stream, &self.poller, &mut self.outbox),
            Kind::Credit => {
                if let Some(bytes) = frame.credit_bytes() {
                    self.streams.credit(stream, bytes, &self.poller, &mut self.outbox);
                }
            }
            Kind::Reset => self.streams.remove(stream, &self.poller),
            Kind::Request | Kind::Response | Kind::Event => {
                console::say(&format!("unexpected {:?} from the host", frame.kind));
            }
        }
    }

    fn greet(&mut self, frame: &Frame) {
        let Ok(hello) = serde_json::from_slice::<Hello>(&frame.payload) else {
            panic!("malformed greeting from the host");
        };
        let uname = rustix::system::uname();
        let kernel = [uname.release(), uname.machine()].map(|part| part.to_string_lossy());
        let answer = Hello {
            version: VERSION,
            software: concat!("hull-init ", env!("CARGO_PKG_VERSION")).into(),
            kernel: Some(kernel.join(" ")),
            uptime_us: Some(console::uptime_us()),
        };
        self.send(Kind::Hello, 0, &answer);
        // Another version gets to know this one, and nothing else.
        self.greeted = hello.version == VERSION;
        if !self.greeted {
            console::say(&format!(
                "the host speaks version {} of the protocol, this agent {VERSION}",
                hello.version
            ));
        }
    }

    fn disconnect(&mut self) {
        self.poller.remove(self.channel.fd());
        self.disconnected = true;
        self.channel_blocked = false;
        self.decoder = Decoder::default();
        self.outbox.clear();
    }

    fn reconnect(&mut self) {
        let watched = self.poller.add(self.channel.fd(), Token::Channel, EventFlags::IN);
        self.disconnected = watched.is_err();
        self.read_channel();
    }

    pub(crate) fn flush(&mut self) {
        if self.disconnected {
            return;
        }
        let blocked = match self.outbox.flush(&mut *self.channel) {
            Ok(done) => !done,
            // The host has gone; reading says so too.
            Err(_) => return self.outbox.clear(),
        };
        if blocked != self.channel_blocked {
            let mut interest = EventFlags::IN;
            interest.set(EventFlags::OUT, blocked);
            let fd = self.channel.fd();
            if self.poller.modify(fd, Token::Channel, interest).is_ok() {
                self.channel_blocked = blocked;
            }
        }
    }

    /// Finishes what waits for something to be over.
    fn settle(&mut self) {
        let over: Vec<u32> = self
            .children
            .iter()
            .filter(|(_, child)| child.status.is_some() && self.is_told(child))
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            self.child_over(key);
        }
        if self.kernel_log.is_due() {
            self.send_kernel_log();
        }
        self.settle_frozen();
        self.settle_deleted();
        self.settle_shutdown();
    }
}
