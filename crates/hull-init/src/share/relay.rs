//! The process between `/dev/fuse` and the port.
//!
//! Messages pass as they are; on the port each has the number of its file system before it (four
//! bytes, little-endian).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, Result, read, write};

use super::notifier::{BARRIER, Notifier};
use crate::console;
use crate::container::{control, process};
use crate::sys;

/// Runs in the child.
pub(super) fn run(port: &OwnedFd, control: &OwnedFd) -> ! {
    let served = sys::close_except(&[port.as_fd(), control.as_fd()])
        .and_then(|()| Relay::new(port.as_fd(), control))
        .and_then(|mut relay| {
            // Every process that uses a share waits for this one.
            let _ = process::set_oom_score(Some(-1000));
            relay.serve()
        });
    if let Err(errno) = served {
        console::say(&format!("shares: {errno}"));
    }
    sys::exit_now(0)
}

struct Relay<'a> {
    port: BorrowedFd<'a>,
    control: &'a OwnedFd,
    epoll: OwnedFd,
    notifier: Notifier,
    devices: BTreeMap<u32, OwnedFd>,
    /// What came from the port: `start..end` of it is not a whole message yet.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// What is on its way to the port: `sent..ready` of it.
    output: Vec<u8>,
    sent: usize,
    ready: usize,
    /// The port is watched for room, and the file systems are not read.
    blocked: bool,
    /// Nobody is at the port's other end.
    disconnected: bool,
}

impl<'a> Relay<'a> {
    fn new(port: BorrowedFd<'a>, control: &'a OwnedFd) -> Result<Self> {
        let notifier = Notifier::start()?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, port, EventData::new_u64(PORT), EventFlags::IN)?;
        epoll::add(&epoll, control, EventData::new_u64(CONTROL), EventFlags::IN)?;
        let socket = notifier.socket();
        epoll::add(&epoll, socket, EventData::new_u64(NOTIFIER), EventFlags::IN)?;
        Ok(Self {
            port,
            control,
            epoll,
            notifier,
            devices: BTreeMap::new(),
            input: vec![0; MESSAGE],
            start: 0,
            end: 0,
            output: vec![0; PREFIX + MESSAGE],
            sent: 0,
            ready: 0,
            blocked: false,
            disconnected: false,
        })
    }

    /// Carries messages until the agent ends.
    fn serve(&mut self) -> Result<()> {
        loop {
            let mut events =
                [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 16];
            let pause = self
                .disconnected
                .then_some(Timespec { tv_sec: 0, tv_nsec: RECONNECT.as_nanos() as i64 });
            let count = match epoll::wait(&self.epoll, &mut events[..], pause.as_ref()) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if self.disconnected {
                self.disconnected = false;
                let data = EventData::new_u64(PORT);
                epoll::add(&self.epoll, self.port, data, self.interest())?;
            }
            for event in &events[..count] {
                match event.data.u64() {
                    PORT => {
                        self.carry_answers()?;
                        self.flush()?;
                    }
                    CONTROL => match self.admit()? {
                        true => {}
                        false => return Ok(()),
                    },
                    NOTIFIER => {
                        let all = self.notifier.flush();
                        self.watch_notifier(!all)?;
                        self.carry_barriers()?;
                    }
                    number => self.carry_requests(number as u32)?,
                }
            }
        }
    }

    /// Takes a new file system from the agent; `false` if the agent has ended.
    fn admit(&mut self) -> Result<bool> {
        let mut number = [0; 4];
        let Some((4, mut fds)) = control::take(self.control, &mut number) else {
            return Ok(false);
        };
        if let Some(device) = fds.pop() {
            let number = u32::from_le_bytes(number);
            let data = EventData::new_u64(number.into());
            epoll::add(&self.epoll, &device, data, EventFlags::IN)?;
            let all = self.notifier.admit(number, &device)?;
            self.watch_notifier(!all)?;
            self.devices.insert(number, device);
        }
        Ok(true)
    }

    /// Tells the host which barriers have been come to, as soon as nothing else is on its way.
    fn carry_barriers(&mut self) -> Result<()> {
        if self.blocked {
            return Ok(());
        }
        while let Some(barrier) = self.notifier.barrier() {
            // `struct fuse_in_header`: the length, then what is the operation's place.
            let mut header = [0; IN_HEADER];
            header[..4].copy_from_slice(&(IN_HEADER as u32).to_le_bytes());
            header[4..8].copy_from_slice(&barrier);
            self.output[..PREFIX].copy_from_slice(&BARRIER.to_le_bytes());
            self.output[PREFIX..PREFIX + IN_HEADER].copy_from_slice(&header);
            (self.sent, self.ready) = (0, PREFIX + IN_HEADER);
            self.flush()?;
            if self.blocked {
                break;
            }
        }
        Ok(())
    }

    /// Carries requests of one file system to the host, as long as it has any and the host takes
    /// them.
    fn carry_requests(&mut self, number: u32) -> Result<()> {
        while !self.blocked {
            let Some(device) = self.devices.get(&number) else {
                return Ok(());
            };
            self.output[..PREFIX].copy_from_slice(&number.to_le_bytes());
            match read(device, &mut self.output[PREFIX..]) {
                Ok(length) => (self.sent, self.ready) = (0, PREFIX + length),
                Err(Errno::AGAIN) => return Ok(()),
                // The request was given up before it was read.
                Err(Errno::INTR | Errno::NOENT) => continue,
                // Unmounted. The notifier has it open, too: closing it does not end the watch.
                Err(_) => {
                    if let Some(device) = self.devices.remove(&number) {
                        epoll::delete(&self.epoll, &device)?;
                    }
                    return Ok(());
                }
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what the port takes.
    fn flush(&mut self) -> Result<()> {
        while self.sent < self.ready {
            match write(self.port, &self.output[self.sent..self.ready]) {
                Ok(0) | Err(Errno::AGAIN) => return self.block(true),
                Ok(written) => self.sent += written,
                Err(Errno::INTR) => {}
                // Nobody will answer.
                Err(_) => break,
            }
        }
        (self.sent, self.ready) = (0, 0);
        self.block(false)
    }

    fn block(&mut self, blocked: bool) -> Result<()> {
        if blocked == self.blocked {
            return Ok(());
        }
        self.blocked = blocked;
        if !self.disconnected {
            let data = EventData::new_u64(PORT);
            epoll::modify(&self.epoll, self.port, data, self.interest())?;
        }
        // Level-triggered: what could not be read would be told again and again.
        let interest = if blocked { EventFlags::empty() } else { EventFlags::IN };
        for (number, device) in &self.devices {
            let data = EventData::new_u64((*number).into());
            epoll::modify(&self.epoll, device, data, interest)?;
        }
        self.watch_notifier(self.notifier.is_behind())
    }

    /// What the port is watched for.
    fn interest(&self) -> EventFlags {
        match self.blocked {
            true => EventFlags::IN | EventFlags::OUT,
            false => EventFlags::IN,
        }
    }

    /// Carries answers of the host to their file systems.
    fn carry_answers(&mut self) -> Result<()> {
        loop {
            if self.start > 0 {
                self.input.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            match read(self.port, &mut self.input[self.end..]) {
                Ok(0) => {
                    epoll::delete(&self.epoll, self.port)?;
                    self.disconnected = true;
                    return Ok(());
                }
                Ok(length) => self.end += length,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            self.deliver()?;
        }
    }

    fn deliver(&mut self) -> Result<()> {
        while let Some((head, _)) = self.input[self.start..self.end].split_first_chunk::<HEAD>() {
            let word = |at: usize| {
                u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let (number, length) = (word(0), word(4) as usize);
            if length > MESSAGE - PREFIX {
                return Err(Errno::MSGSIZE);
            }
            let next = self.start + PREFIX + length;
            if next > self.end {
                return Ok(());
            }
            if head[HEAD - 8..] == [0; 8] {
                // It answers no request.
                let all = self.notifier.pass(&self.input[self.start..next]);
                self.watch_notifier(!all)?;
            } else if let Some(device) = self.devices.get(&number) {
                // Who asked may have gone: there is nobody to tell.
                let _ = write(device, &self.input[self.start + PREFIX..next]);
            }
            self.start = next;
        }
        Ok(())
    }

    fn watch_notifier(&self, for_room: bool) -> Result<()> {
        // While the port has no room, barriers wait where they are.
        let heard = if self.blocked { EventFlags::empty() } else { EventFlags::IN };
        let interest = if for_room { heard | EventFlags::OUT } else { heard };
        let data = EventData::new_u64(NOTIFIER);
        match epoll::modify(&self.epoll, self.notifier.socket(), data, interest) {
            // It has ended, and was seen to.
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }
}

const PREFIX: usize = 4;
/// `sizeof(struct fuse_in_header)`.
const IN_HEADER: usize = 40;
/// Number of the file system, and `struct fuse_out_header`.
const HEAD: usize = PREFIX + 16;
/// Longest message, in bytes: the most that one request writes, its header, and names.
const MESSAGE: usize = (256 << 10) + (16 << 10);
const PORT: u64 = u64::MAX;
const CONTROL: u64 = u64::MAX - 1;
const NOTIFIER: u64 = u64::MAX - 2;
const RECONNECT: Duration = Duration::from_millis(20);
