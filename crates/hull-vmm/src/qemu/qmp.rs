//! Client of the QEMU machine protocol, as far as Hull needs it.
//!
//! Source: <https://www.qemu.org/docs/master/interop/qmp-spec.html>.

use std::collections::VecDeque;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
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
    negotiation: Negotiation,
    /// Replies to come of commands whose callers have given up.
    abandoned: u64,
    waiting: bool,
    events: VecDeque<Event>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Negotiation {
    Greeting,
    Capabilities,
    Over,
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
    pub fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
            line: Vec::new(),
            negotiation: Negotiation::Greeting,
            abandoned: 0,
            waiting: false,
            events: VecDeque::new(),
        }
    }

    /// Reads the greeting and leaves negotiation mode, if that has not been done. May be
    /// cancelled and called again.
    async fn negotiate(&mut self) -> Result<(), QmpError> {
        if self.negotiation == Negotiation::Greeting {
            match self.message().await? {
                Message::Greeting { .. } => {}
                _ => return Err(QmpError::Unexpected),
            }
            let line = b"{\"execute\":\"qmp_capabilities\"}\n";
            // Never waits: nothing else has been written to the socket yet.
            self.writer.write_all(line).await?;
            self.negotiation = Negotiation::Capabilities;
        }
        while self.negotiation == Negotiation::Capabilities {
            match self.message().await? {
                Message::Return { .. } => self.negotiation = Negotiation::Over,
                Message::Event(event) => self.keep(event),
                Message::Greeting { .. } | Message::Error { .. } => {
                    return Err(QmpError::Unexpected);
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
        let request = Request { execute: C::NAME, arguments: command };
        let mut line = serde_json::to_vec(&request).map_err(QmpError::Malformed)?;
        line.push(b'\n');
        self.writer.write_all(&line).await?;
        self.waiting = true;
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

/// Stops all vCPUs.
#[derive(Debug, Serialize)]
pub struct Stop {}

impl Command for Stop {
    const NAME: &'static str = "stop";
    type Reply = Empty;
}

/// Lets all vCPUs go on.
#[derive(Debug, Serialize)]
pub struct Continue {}

impl Command for Continue {
    const NAME: &'static str = "cont";
    type Reply = Empty;
}

/// Asks what the machine does.
#[derive(Debug, Serialize)]
pub struct QueryStatus {}

impl Command for QueryStatus {
    const NAME: &'static str = "query-status";
    type Reply = RunStatus;
}

/// Reply that says nothing.
#[derive(Debug, Deserialize)]
pub struct Empty {}

/// What the machine does.
#[derive(Debug, Deserialize)]
pub struct RunStatus {
    pub running: bool,
    pub status: String,
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
    use tokio::io::AsyncReadExt;

    use super::*;

    const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";
    const DONE: &str = "{\"return\": {}}\r\n";

    async fn opened() -> (Monitor, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(format!("{GREETING}{DONE}").as_bytes()).await.unwrap();
        let mut monitor = Monitor::new(ours);
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
    async fn endless_lines_are_refused() {
        let (mut monitor, mut theirs) = opened().await;
        tokio::spawn(async move { while theirs.write_all(&[b'x'; 4096]).await.is_ok() {} });
        assert!(matches!(monitor.event().await, Err(QmpError::TooLong)));
    }
}
