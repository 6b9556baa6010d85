//! Connections that break before an answer: whether what was asked may be asked again.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use super::ClientError;

/// What is known of a request whose connection broke.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    /// Nobody read all of it: nothing was done.
    Unread,
    /// A daemon read it, and ended before it answered: anything may have been done.
    Unanswered,
}

impl Broken {
    /// Tells what became of a request without a streamed body; `None` if no connection broke.
    ///
    /// A unix socket says it: one that is closed with bytes in it that were not read, or before it
    /// was accepted, resets its peer (unix(7), `unix_release_sock`); one whose bytes were all read
    /// ends it. A daemon acts on a request that it has read to the end, and on no other.
    pub(super) fn of(error: &ClientError) -> Option<Self> {
        let ClientError::Http(error) = error else {
            return None;
        };
        if error.is_canceled() {
            // It never left this process.
            return Some(Self::Unread);
        }
        let reset = |error: &io::Error| {
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        };
        match error.source().and_then(|source| source.downcast_ref()) {
            Some(error) if reset(error) => Some(Self::Unread),
            Some(_) => None,
            None => error.is_incomplete_message().then_some(Self::Unanswered),
        }
    }
}
