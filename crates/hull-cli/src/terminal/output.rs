//! Standard output and standard error, written by a thread of its own: a reader that is slow
//! holds up neither input nor signals.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

use crate::client::{Piece, Target};

/// Where output goes.
#[derive(Debug)]
pub(crate) struct Output {
    sender: mpsc::Sender<Piece>,
    thread: JoinHandle<io::Result<()>>,
}

impl Output {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(PIECES);
        let thread = std::thread::spawn(move || write(receiver));
        Self { sender, thread }
    }

    /// Writes a piece; false if nobody reads any more.
    pub(crate) async fn send(&self, piece: Piece) -> bool {
        self.sender.send(piece).await.is_ok()
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// Standard output or error could not be written.
    pub(crate) async fn finish(self) -> io::Result<()> {
        drop(self.sender);
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(result)) => result,
            _ => Err(io::Error::other("the writer of standard output failed")),
        }
    }
}

fn write(mut pieces: mpsc::Receiver<Piece>) -> io::Result<()> {
    let mut stdout = File::from(clone(&io::stdout())?);
    let mut stderr = File::from(clone(&io::stderr())?);
    while let Some(piece) = pieces.blocking_recv() {
        match piece.target {
            Target::Stdout => write_all(&mut stdout, &piece.data)?,
            Target::Stderr | Target::SystemError => write_all(&mut stderr, &piece.data)?,
        }
    }
    Ok(())
}

fn clone(stream: &impl AsFd) -> io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

fn write_all(file: &mut File, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match file.write(data) {
            Ok(count) => data = &data[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody has made the shared file description non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(file, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

const PIECES: usize = 8;
