//! Standard streams of a container or exec, connected to a client.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{Engine, Result, error::Error};

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

/// Streams of a client. Dropping it detaches.
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
    sender: mpsc::Sender<Bytes>,
}

impl Input {
    /// Sends bytes; waits while the process does not read.
    ///
    /// # Errors
    /// The process has closed its standard input or ended, or the detach keys were in `data`: the
    /// client should send no more. Output may still come.
    pub async fn send(&mut self, data: Bytes) -> Result<()> {
        self.sender
            .send(data)
            .await
            .map_err(|_| Error::Conflict("standard input is closed".into()))
    }

    /// Ends this client's input. The process sees end of file if the container was made with
    /// `stdin_once` (or is an exec).
    pub async fn finish(self) {}
}

/// Output of a process.
#[derive(Debug)]
pub struct Output {
    receiver: mpsc::Receiver<Chunk>,
}

impl Output {
    /// Returns the next piece, `None` at the end. The process is held up while nobody asks and
    /// the buffers between are full.
    pub async fn next(&mut self) -> Option<Chunk> {
        self.receiver.recv().await
    }
}

impl Engine {
    /// Connects to the standard streams of a container. One that does not run yet is connected
    /// before its program is executed, so that nothing of its output is missed.
    ///
    /// # Errors
    /// No such container, or bad detach keys; conflict if it is paused.
    pub async fn attach(&self, container: &str, options: AttachOptions) -> Result<Attached> {
        let _ = (container, options);
        Err(Error::not_yet("attach"))
    }

    /// Sets the size of a container's terminal.
    ///
    /// # Errors
    /// No such container, or it does not run.
    pub async fn resize(&self, container: &str, rows: u16, columns: u16) -> Result<()> {
        let _ = (container, rows, columns);
        Err(Error::not_yet("resize"))
    }
}
