//! Client of the QEMU machine protocol, as far as Hull needs it.
//!
//! Source: <https://www.qemu.org/docs/master/interop/qmp-spec.html>.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use hull_socket::descriptors;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// A command: serialises to its arguments.
pub trait Command: Serialize {
    const NAME: &'static str;
    type Reply: DeserializeOwned;
}

/// A connection to a monitor.
#[derive(Debug)]
pub struct Monitor {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// A line that has come in part, kept so that a cancelled read loses nothing.
    line: Vec<u8>,
    greeted: bool,
    /// Commands that were written before anything was read, and not answered yet.
    early: VecDeque<&'static str>,
    /// Replies to come of commands whose callers have given up.
    abandoned: u64,
    waiting: bool,
    events: VecDeque<Event>,
}

/// What the monitor says unasked.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Event {
    #[serde(rename = "event")]
    pub name: String,
    #[serde(default)]
    pub data: Value,
}

impl Monitor {
    /// Returns the monitor at the other end of `stream`; nothing is said yet.
    ///
    /// # Errors
    /// If `stream` cannot be made asynchronous.
    pub fn new(stream: StdUnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (reader, writer) = UnixStream::from_std(stream)?.into_split();
        Ok(Self {
            reader: BufReader::new(reader),
            writer,
            line: Vec::new(),
            greeted: false,
            early: VecDeque::new(),
            abandoned: 0,
            waiting: false,
            events: VecDeque::new(),
        })
    }

    /// Returns the monitor of a machine whose original's had been negotiated with.
    ///
    /// # Errors
    /// As [`Monitor::new`].
    pub fn negotiated(stream: StdUnixStream) -> io::Result<Self> {
        Ok(Self { greeted: true, ..Self::new(stream)? })
    }

    /// As [`Monitor::new`], with `commands` said without waiting to be spoken to: they are run as
    /// soon as there is a machine. The first use of the monitor fails if one was refused.
    ///
    /// # Errors
    /// As [`Monitor::new`], or if `commands` do not fit into a socket's buffer.
    pub fn speaking_first(stream: StdUnixStream, commands: &Early) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        (&stream).write_all(&commands.lines)?;
        let early = commands.names.iter().copied().collect();
        Ok(Self { early, ..Self::new(stream)? })
    }

    /// Reads the greeting, leaves negotiation mode and hears what became of early commands, as far
    /// as that has not been done. May be cancelled and called again.
    ///
    /// # Errors
    /// [`QmpError::Command`] for each early command that was refused, or the connection's.
    pub async fn negotiate(&mut self) -> Result<(), QmpError> {
        if !self.greeted {
            match self.message().await? {
                Message::Greeting { .. } => {}
                _ => return Err(QmpError::Unexpected),
            }
            if self.early.is_empty() {
                // Never waits: nothing else has been written to the socket yet.
                let early = Early::new();
                self.writer.write_all(&early.lines).await?;
                self.early.extend(early.names);
            }
            self.greeted = true;
        }
        while let Some(command) = self.early.front().copied() {
            match self.message().await? {
                Message::Return { .. } => drop(self.early.pop_front()),
                Message::Event(event) => self.keep(event),
                Message::Greeting { .. } => return Err(QmpError::Unexpected),
                Message::Error { error } => {
                    self.early.pop_front();
                    return Err(QmpError::Command { command, reason: error.desc });
                }
            }
        }
        Ok(())
    }

    /// Runs a command and returns its reply; events that come meanwhile are kept.
    ///
    /// # Errors
    /// [`QmpError::Command`] with the monitor's reason, or the connection's.
    pub async fn execute<C: Command>(&mut self, command: &C) -> Result<C::Reply, QmpError> {
        self.negotiate().await?;
        if std::mem::take(&mut self.waiting) {
            self.abandoned += 1;
        }
        self.writer.write_all(&line(command)?).await?;
        self.waiting = true;
        self.reply::<C>().await
    }

    /// As [`Monitor::execute`], and passes `fd` with the command.
    ///
    /// # Errors
    /// As [`Monitor::execute`].
    pub async fn execute_with<C: Command>(
        &mut self,
        command: &C,
        fd: BorrowedFd<'_>,
    ) -> Result<C::Reply, QmpError> {
        self.negotiate().await?;
        if std::mem::take(&mut self.waiting) {
            self.abandoned += 1;
        }
        let line = line(command)?;
        let stream: &UnixStream = self.writer.as_ref();
        let send = || descriptors::send(stream, &line, &[fd]);
        let sent = stream.async_io(Interest::WRITABLE, send).await?;
        // The descriptor went with the first byte.
        self.writer.write_all(&line[sent..]).await?;
        self.waiting = true;
        self.reply::<C>().await
    }

    /// Returns the reply to the command that was just written.
    async fn reply<C: Command>(&mut self) -> Result<C::Reply, QmpError> {
        loop {
            let outcome = match self.message().await? {
                Message::Event(event) => {
                    self.keep(event);
                    continue;
                }
                Message::Greeting { .. } => return Err(QmpError::Unexpected),
                _ if self.abandoned > 0 => {
                    self.abandoned -= 1;
                    continue;
                }
                Message::Return { value } => {
                    serde_json::from_value(value).map_err(QmpError::Malformed)
                }
                Message::Error { error } => {
                    Err(QmpError::Command { command: C::NAME, reason: error.desc })
                }
            };
            self.waiting = false;
            return outcome;
        }
    }

    /// Returns the next event. May be cancelled.
    ///
    /// # Errors
    /// [`QmpError::Closed`] when the machine has ended.
    pub async fn event(&mut self) -> Result<Event, QmpError> {
        self.negotiate().await?;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            match self.message().await? {
                Message::Event(event) => return Ok(event),
                // A reply that nobody waits for any more.
                _ => {
                    self.abandoned = self.abandoned.saturating_sub(1);
                    self.waiting = false;
                }
            }
        }
    }

    /// Reads events up to the one called `name` whose data is as `wanted` says; others are kept.
    ///
    /// # Errors
    /// As [`Monitor::event`].
    pub async fn wait_for(
        &mut self,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<(), QmpError> {
        self.negotiate().await?;
        let fits = |event: &Event| event.name == name && wanted(&event.data);
        loop {
            if let Some(place) = self.events.iter().position(fits) {
                self.events.remove(place);
                return Ok(());
            }
            match self.message().await? {
                Message::Event(event) => self.keep(event),
                // A reply that nobody waits for any more.
                _ => {
                    self.abandoned = self.abandoned.saturating_sub(1);
                    self.waiting = false;
                }
            }
        }
    }

    /// Keeps the newest events: nobody may be interested in them.
    fn keep(&mut self, event: Event) {
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    async fn message(&mut self) -> Result<Message, QmpError> {
        // A guest that has taken QEMU over must not be able to fill this process's memory.
        let room = MOST_LINE.saturating_sub(self.line.len()) as u64;
        let mut limited = (&mut self.reader).take(room);
        limited.read_until(b'\n', &mut self.line).await?;
        if self.line.last() != Some(&b'\n') {
            return Err(if self.line.len() >= MOST_LINE {
                QmpError::TooLong
            } else {
                QmpError::Closed
            });
        }
        let line = std::mem::take(&mut self.line);
        serde_json::from_slice(&line).map_err(QmpError::Malformed)
    }
}

/// Commands for [`Monitor::speaking_first`], of which the first ends negotiation.
#[derive(Debug)]
pub struct Early {
    lines: Vec<u8>,
    names: Vec<&'static str>,
}

impl Early {
    pub fn new() -> Self {
        let lines = b"{\"execute\":\"qmp_capabilities\"}\n".to_vec();
        Self { lines, names: vec!["qmp_capabilities"] }
    }

    /// Adds a command.
    ///
    /// # Errors
    /// [`QmpError::Malformed`] if its arguments are not JSON.
    pub fn and<C: Command>(mut self, command: &C) -> Result<Self, QmpError> {
        self.lines.extend(line(command)?);
        self.names.push(C::NAME);
        Ok(self)
    }
}

impl Default for Early {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a command failed.
#[derive(Debug, Error)]
pub enum QmpError {
    #[error("the machine has ended")]
    Closed,
    #[error("the VMM refused `{command}`: {reason}")]
    Command { command: &'static str, reason: String },
    #[error("talking to the VMM failed")]
    Io(#[source] io::Error),
    #[error("the VMM said what is no monitor message")]
    Malformed(#[source] serde_json::Error),
    #[error("the VMM sent a message without end")]
    TooLong,
    #[error("the VMM said what was not its turn to say")]
    Unexpected,
}

impl From<io::Error> for QmpError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

fn line<C: Command>(command: &C) -> Result<Vec<u8>, QmpError> {
    let request = Request { execute: C::NAME, arguments: command };
    let mut line = serde_json::to_vec(&request).map_err(QmpError::Malformed)?;
    line.push(b'\n');
    Ok(line)
}

#[derive(Serialize)]
struct Request<'a, C> {
    execute: &'static str,
    arguments: &'a C,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Message {
    Greeting {
        #[serde(rename = "QMP")]
        _version: Value,
    },
    Return {
        #[serde(rename = "return")]
        value: Value,
    },
    Error {
        error: Reason,
    },
    Event(Event),
}

#[derive(Debug, Deserialize)]
struct Reason {
    desc: String,
}

const MOST_EVENTS: usize = 64;
const MOST_LINE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::qemu::command::{Continue, QueryStatus, Stop};

    const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";
    const DONE: &str = "{\"return\": {}}\r\n";

    fn pair() -> (StdUnixStream, UnixStream) {
        let (ours, theirs) = StdUnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, UnixStream::from_std(theirs).unwrap())
    }

    async fn opened() -> (Monitor, UnixStream) {
        let (ours, mut theirs) = pair();
        theirs.write_all(format!("{GREETING}{DONE}").as_bytes()).await.unwrap();
        let mut monitor = Monitor::new(ours).unwrap();
        monitor.negotiate().await.unwrap();
        let mut request = vec![0; 128];
        let read = theirs.read(&mut request).await.unwrap();
        assert_eq!(&request[..read], b"{\"execute\":\"qmp_capabilities\"}\n");
        (monitor, theirs)
    }

    #[tokio::test]
    async fn events_between_command_and_reply_are_kept() {
        let (mut monitor, mut theirs) = opened().await;
        let says = "{\"event\":\"RESUME\",\"timestamp\":{}}\n\
                    {\"return\":{\"running\":true,\"status\":\"running\"}}\n";
        theirs.write_all(says.as_bytes()).await.unwrap();
        assert!(monitor.execute(&QueryStatus {}).await.unwrap().running);
        assert_eq!(monitor.event().await.unwrap().name, "RESUME");
        drop(theirs);
        assert!(matches!(monitor.event().await, Err(QmpError::Closed)));
    }

    #[tokio::test]
    async fn a_cancelled_command_does_not_shift_replies() {
        let (mut monitor, mut theirs) = opened().await;
        let cancelled =
            tokio::time::timeout(std::time::Duration::from_millis(5), monitor.execute(&Stop {}));
        assert!(cancelled.await.is_err());
        let says = "{\"return\":{}}\n{\"return\":{\"running\":false,\"status\":\"paused\"}}\n";
        theirs.write_all(says.as_bytes()).await.unwrap();
        let status = monitor.execute(&QueryStatus {}).await.unwrap();
        assert_eq!(status.status, "paused");
    }

    #[tokio::test]
    async fn refusals_carry_the_reason() {
        let (mut monitor, mut theirs) = opened().await;
        let says = "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}\n";
        theirs.write_all(says.as_bytes()).await.unwrap();
        let error = monitor.execute(&Continue {}).await.unwrap_err();
        assert_eq!(error.to_string(), "the VMM refused `cont`: no");
    }

    #[tokio::test]
    async fn early_commands_are_said_at_once_and_their_refusal_is_heard() {
        let (ours, mut theirs) = pair();
        let early = Early::new().and(&Stop {}).unwrap().and(&Continue {}).unwrap();
        let mut monitor = Monitor::speaking_first(ours, &early).unwrap();
        let mut said = vec![0; 512];
        let read = theirs.read(&mut said).await.unwrap();
        assert_eq!(said[..read].iter().filter(|byte| **byte == b'\n').count(), 3);
        let says = format!(
            "{GREETING}{DONE}{{\"event\":\"RESUME\"}}\n\
             {{\"error\":{{\"class\":\"GenericError\",\"desc\":\"no\"}}}}\n{DONE}"
        );
        theirs.write_all(says.as_bytes()).await.unwrap();
        let error = monitor.event().await.unwrap_err();
        assert_eq!(error.to_string(), "the VMM refused `stop`: no");
        assert_eq!(monitor.event().await.unwrap().name, "RESUME");
    }

    #[tokio::test]
    async fn descriptors_go_with_a_command() {
        let (mut monitor, mut theirs) = opened().await;
        theirs.write_all(DONE.as_bytes()).await.unwrap();
        let (passed, _) = StdUnixStream::pair().unwrap();
        monitor.execute_with(&Stop {}, passed.as_fd()).await.unwrap();
        let (mut bytes, mut fds) = ([0; 128], Vec::new());
        descriptors::receive(&theirs, &mut bytes, &mut fds).unwrap();
        assert_eq!(fds.len(), 1);
    }

    #[tokio::test]
    async fn endless_lines_are_refused() {
        let (mut monitor, mut theirs) = opened().await;
        tokio::spawn(async move { while theirs.write_all(&[b'x'; 4096]).await.is_ok() {} });
        assert!(matches!(monitor.event().await, Err(QmpError::TooLong)));
    }
}
