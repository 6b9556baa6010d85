//! Standard input, read by a thread of its own: reading blocks, and cannot be interrupted.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

/// Starts to read standard input. The channel ends with it. The thread ends with the process.
pub(super) fn read() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(PIECES);
    std::thread::spawn(move || {
        let Ok(fd) = io::stdin().as_fd().try_clone_to_owned() else {
            return;
        };
        let mut stdin = File::from(fd);
        let mut buffer = vec![0; BUFFER];
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let piece = Bytes::copy_from_slice(&buffer[..count]);
                    if sender.blocking_send(piece).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody has made the shared file description non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let _ = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None);
                }
                Err(_) => return,
            }
        }
    });
    receiver
}

const BUFFER: usize = 32 << 10;
const PIECES: usize = 4;
