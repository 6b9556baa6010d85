//! Why a channel is closed.

use std::sync::Arc;

use hull_protocol::FrameError;
use thiserror::Error;

/// Why a channel is closed. Cheap to clone: every waiting call gets it.
#[derive(Clone, Debug, Error)]
pub enum Closed {
    #[error("the guest closed its channel")]
    ByGuest,
    #[error("the channel was given up")]
    ByHost,
    #[error("reading or writing the guest channel failed")]
    Io(#[source] Arc<std::io::Error>),
    #[error("the guest broke the protocol: {0}")]
    Violation(Arc<str>),
}

impl Closed {
    pub(crate) fn violation(what: impl Into<Arc<str>>) -> Self {
        Self::Violation(what.into())
    }
}

impl From<FrameError> for Closed {
    fn from(error: FrameError) -> Self {
        Self::violation(error.to_string())
    }
}

impl From<std::io::Error> for Closed {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => Self::ByGuest,
            _ => Self::Io(Arc::new(error)),
        }
    }
}
