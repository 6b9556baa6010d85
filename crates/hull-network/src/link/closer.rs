//! Closes taps.
//!
//! With its last descriptor an interface goes, and whoever closes that waits until all of the kernel
//! has let go of it. A machine that did would take that much longer to end, and so would the service
//! to answer the next one.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// A thread that closes what it is given. It ends with this value, when it has closed all.
#[derive(Debug)]
pub(super) struct Closer(Sender<OwnedFd>);

impl Closer {
    pub(super) fn start() -> io::Result<Self> {
        let (closer, taps) = channel::<OwnedFd>();
        thread::Builder::new()
            .name("closer".to_owned())
            .spawn(move || taps.iter().for_each(drop))?;
        Ok(Self(closer))
    }

    pub(super) fn close(&self, tap: OwnedFd) {
        // If the thread has gone, it is closed here.
        let _ = self.0.send(tap);
    }
}
