//! Standard streams of a container or exec, connected to a client.

use std::sync::Arc;

use bytes::Bytes;
use hull_supervisor::control::Attach;
use tokio::sync::{mpsc, watch};
use tracing::debug;

use super::detach::Keys;
use super::entry::Container;
use super::kill;
use super::kill::failed;
use super::logs::{LogOptions, LogStream};
use super::state::Status;
use crate::isolation::{InputMessage, Pipes};
use crate::{Engine, Error, Result};

/// Which streams a client wants.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// First what the container has written so far, from its log.
    pub logs: bool,
    /// Then what it writes from now on, until it ends.
    pub stream: bool,
    /// Keys that detach from a terminal, in Docker's notation; `None`: `ctrl-p,ctrl-q`.
    pub detach_keys: Option<String>,
}

/// Streams of a client. Dropping `output` detaches.
#[derive(Debug)]
pub struct Attached {
    /// Standard input, if asked for and open.
    pub input: Option<Input>,
    pub output: Output,
    /// The process has a terminal: all output comes on [`Channel::Stdout`], in raw form.
    pub tty: bool,
}

/// Which stream output came on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Channel {
    Stdout,
    Stderr,
}

/// A piece of output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chunk {
    pub channel: Channel,
    pub data: Bytes,
}

/// Standard input of a process. Dropping it without [`Input::finish`] is a client that went away.
#[derive(Debug)]
pub struct Input {
    sender: mpsc::Sender<InputMessage>,
    /// With a terminal.
    keys: Option<Keys>,
    detached: watch::Sender<bool>,
    detach: Detach,
}

impl Input {
    /// Sends bytes; waits while the process does not read. Cancelling it may lose `data`.
    ///
    /// # Errors
    /// The process has closed its standard input or ended, or the detach keys were in `data`: the
    /// client should send no more. Output may still come.
    pub async fn send(&mut self, data: Bytes) -> Result<()> {
        let Some(keys) = &mut self.keys else {
            return self.forward(data).await;
        };
        let typed = keys.take(&data);
        let forwarded = match typed.data.is_empty() {
            true => Ok(()),
            false => self.forward(typed.data.into()).await,
        };
        if typed.detach {
            self.detached.send_replace(true);
            self.detach.tell();
            return Err(Error::Conflict("read escape sequence".into()));
        }
        forwarded
    }

    /// Ends this client's input. The process sees end of file if the container was made with
    /// `stdin_once` (or is an exec); else this client detaches, as with Docker.
    pub async fn finish(self) {
        // An error means that nobody reads any more.
        self.sender.send(InputMessage::End).await.ok();
        // Until the other side lets go: the end of this client's input is not its departure.
        tokio::spawn(async move { self.sender.closed().await });
    }

    async fn forward(&self, data: Bytes) -> Result<()> {
        let sent = self.sender.send(InputMessage::Data(data)).await;
        sent.map_err(|_| Error::Conflict("standard input is closed".into()))
    }
}

/// Output of a process.
#[derive(Debug)]
pub struct Output {
    receiver: mpsc::Receiver<Chunk>,
    detached: watch::Receiver<bool>,
    /// What was written before, if asked for.
    past: Option<Past>,
}

#[derive(Debug)]
struct Past {
    log: LogStream,
    stdout: bool,
    stderr: bool,
}

impl Output {
    /// Returns the next piece, `None` at the end: the process has ended, the detach keys were
    /// typed, or the container could not be started. The process is held up while nobody asks and
    /// the buffers between are full. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Chunk> {
        while let Some(past) = &mut self.past {
            match past.log.next().await {
                Some(Ok(entry)) => {
                    let wanted = match entry.channel {
                        Channel::Stdout => past.stdout,
                        Channel::Stderr => past.stderr,
                    };
                    if wanted {
                        let (channel, data) = (entry.channel, entry.data);
                        return Some(Chunk { channel, data });
                    }
                }
                Some(Err(error)) => {
                    debug!(%error, "cannot read a log for a client");
                    self.past = None;
                }
                None => self.past = None,
            }
        }
        tokio::select! {
            biased;
            // An error means that there is no input, so that nobody can type the keys.
            Ok(_) = self.detached.wait_for(|detached| *detached) => None,
            chunk = self.receiver.recv() => chunk,
        }
    }
}

impl Engine {
    /// Connects to the standard streams of a container. One that does not run yet is connected
    /// before its program is executed, so that nothing of its output is missed.
    ///
    /// # Errors
    /// No such container, or bad detach keys; conflict if it is paused.
    pub async fn attach(&self, container: &str, options: AttachOptions) -> Result<Attached> {
        let keys = Keys::parse(options.detach_keys.as_deref(), "detach")?;
        let found = self.inner.containers.find(container)?;
        let live = found.live();
        if live.state.status == Status::Paused {
            return Err(Error::Conflict(format!(
                "container {container} is paused, unpause the container before attach"
            )));
        }
        if live.state.status == Status::Restarting {
            return Err(kill::restarting(container));
        }
        let config = found.record().config.clone();
        let detach = Detach { engine: self.clone(), container: Arc::clone(&found), exec: None };
        let wanted = Attach {
            stdin: options.stdin && options.stream && config.open_stdin,
            stdout: options.stdout,
            stderr: options.stderr && !config.tty,
        };
        let (mut attached, pipes) = pair(wanted, config.tty, keys, detach);
        let serving = match options.stream {
            true => found.wait_for_streams(pipes),
            false => None,
        };
        if let Some((task, pipes)) = serving {
            match task
                .attach(pipes)
                .await
                .map_err(|error| failed(&found, error, "cannot attach to"))
            {
                // It has ended a moment ago: the client sees the end of its output.
                Ok(()) | Err(Error::NotRunning(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if options.logs {
            let log = LogOptions { stdout: true, stderr: true, ..LogOptions::default() };
            attached.output.past = Some(Past {
                log: self.log_stream(&found, log)?,
                stdout: options.stdout,
                stderr: options.stderr,
            });
        }
        self.tell(&found, "attach", &[]);
        Ok(attached)
    }

    /// Sets the size of a container's terminal.
    ///
    /// # Errors
    /// No such container, or it does not run.
    pub async fn resize(&self, container: &str, rows: u16, columns: u16) -> Result<()> {
        let container = self.inner.containers.find(container)?;
        self.wait_for_start(&container).await;
        let task = self.running_task(&container)?;
        let resized = task.resize(None, rows, columns).await;
        resized.map_err(|error| failed(&container, error, "cannot resize container"))?;
        let size = [("height", rows.to_string()), ("width", columns.to_string())];
        self.tell(&container, "resize", &size);
        Ok(())
    }
}

/// Makes both ends of a client's streams.
pub(crate) fn pair(wanted: Attach, tty: bool, keys: Keys, detach: Detach) -> (Attached, Pipes) {
    let (output, chunks) = mpsc::channel(PIECES);
    let (detached, is_detached) = watch::channel(false);
    let (input, messages) = if wanted.stdin {
        let (sender, messages) = mpsc::channel(PIECES);
        let input = Input { sender, keys: tty.then_some(keys), detached, detach };
        (Some(input), Some(messages))
    } else {
        (None, None)
    };
    let attached = Attached {
        input,
        output: Output { receiver: chunks, detached: is_detached, past: None },
        tty,
    };
    let pipes = Pipes { wanted, input: messages, output };
    (attached, pipes)
}

/// Tells the world that a client has detached.
#[derive(Debug)]
pub(crate) struct Detach {
    pub(crate) engine: Engine,
    pub(crate) container: Arc<Container>,
    pub(crate) exec: Option<String>,
}

impl Detach {
    fn tell(&self) {
        match &self.exec {
            None => self.engine.tell(&self.container, "detach", &[]),
            Some(exec) => {
                let extra = [("execID", exec.clone())];
                self.engine.tell(&self.container, "exec_detach", &extra);
            }
        }
    }
}

/// Pieces of a stream (of up to 64 KiB) that wait between a client and a supervisor.
const PIECES: usize = 16;
