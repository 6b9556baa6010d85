//! Why a request to the daemon failed.

use std::io;
use std::path::PathBuf;

use http::StatusCode;
use serde_json::Value;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The daemon said no.
    #[error("Error response from daemon: {message}")]
    Daemon { status: StatusCode, message: String, hint: Option<String> },
    /// An argument that names nothing.
    #[error("container name cannot be empty")]
    EmptyName,
    #[error("connection to the daemon broke")]
    Http(#[source] hyper::Error),
    #[error("cannot understand the daemon's answer")]
    Json(#[source] serde_json::Error),
    #[error("invalid request")]
    Request(#[source] http::Error),
    #[error("cannot start the daemon: {message}")]
    Start { message: String, hint: Option<String> },
    #[error(
        "Cannot connect to the Hull daemon at unix://{}. Is the hull daemon running?",
        socket.display()
    )]
    Unreachable {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl ClientError {
    /// Reads an answer that is an error.
    pub(super) fn answer(status: StatusCode, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let message = match value["message"].as_str() {
            Some(message) => message.to_owned(),
            None => String::from_utf8_lossy(body).trim().to_owned(),
        };
        Self::Daemon {
            status,
            message: if message.is_empty() { status.to_string() } else { message },
            hint: value["hint"].as_str().map(str::to_owned),
        }
    }

    /// True if the daemon said that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Daemon { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// How to repair it, if there is something to say.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Self::Daemon { hint, .. } | Self::Start { hint, .. } => hint.as_deref(),
            Self::Http(_) => Some(
                "it may have done what it was asked to do, or a part of it; \
                 `hull system logs` has what it said",
            ),
            _ => None,
        }
    }
}
