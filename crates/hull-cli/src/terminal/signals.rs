//! Signals that this process gets and the container should have.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Signals as they come, by number.
#[derive(Debug)]
pub(crate) struct Forwarded(mpsc::UnboundedReceiver<i32>);

impl Forwarded {
    /// Catches all signals that docker's client passes on: not SIGCHLD, SIGPIPE and SIGWINCH,
    /// which say something about this process, nor those that stop a background process that uses
    /// the terminal.
    pub(crate) fn catch() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        for number in NUMBERS.iter().copied().chain(REAL_TIME) {
            // A signal that this system does not let us catch is not passed on.
            if let Ok(signal) = signal(SignalKind::from_raw(number)) {
                tokio::spawn(pass_on(signal, number, sender.clone()));
            }
        }
        Self(receiver)
    }

    /// Returns the next signal.
    pub(crate) async fn next(&mut self) -> i32 {
        match self.0.recv().await {
            Some(number) => number,
            None => std::future::pending().await,
        }
    }
}

/// Waits for a signal that ends this program, so that it can leave the terminal in order.
pub(crate) async fn ends_program() -> i32 {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for number in ENDING {
        if let Ok(signal) = signal(SignalKind::from_raw(number)) {
            tokio::spawn(pass_on(signal, number, sender.clone()));
        }
    }
    match receiver.recv().await {
        Some(number) => number,
        None => std::future::pending().await,
    }
}

async fn pass_on(mut signal: Signal, number: i32, sender: mpsc::UnboundedSender<i32>) {
    while signal.recv().await.is_some() {
        if sender.send(number).is_err() {
            return;
        }
    }
}

/// SIGHUP, SIGINT, SIGQUIT and SIGTERM: the same numbers everywhere.
const ENDING: [i32; 4] = [1, 2, 3, 15];

/// Hangup, interrupt, quit, trap, abort, user 1, user 2, alarm, terminate, continue, terminal stop,
/// and what else Linux has (`signal(7)`) that ends a program which does not expect it.
const NUMBERS: [i32; 17] = [1, 2, 3, 5, 6, 10, 12, 14, 15, 16, 18, 20, 24, 25, 26, 27, 29];

/// Real-time signals that the C library leaves to programs.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;
