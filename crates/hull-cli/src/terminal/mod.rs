//! The user's terminal and standard streams.

mod detach;
mod output;
mod pump;
mod raw;
mod resize;
mod signals;
mod stdin;

use std::io::IsTerminal as _;

pub(crate) use detach::DetachKeys;
pub(crate) use output::Output;
pub(crate) use pump::{End, Session};
pub(crate) use raw::RawMode;
pub(crate) use resize::{follow_size, have_redrawn, size};
pub(crate) use signals::{Forwarded, ends_program};

use crate::error::Failure;

/// Checks that a command that wants a terminal and reads input has one.
pub(crate) fn check_tty(reads_stdin: bool, tty: bool) -> Result<(), Failure> {
    if reads_stdin && tty && !std::io::stdin().is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    Ok(())
}
