//! What can go wrong, in Docker's words where Docker users know them.

use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is; an API server maps it to a status code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The object's state does not allow that (HTTP 409).
    Conflict,
    /// Not allowed (403).
    Forbidden,
    /// Something failed that should not (500).
    Internal,
    /// The request makes no sense (400).
    InvalidParameter,
    /// No such object (404).
    NotFound,
    /// Hull cannot do that, or not yet (501).
    NotImplemented,
    /// It is so already; no failure for most callers (304).
    NotModified,
    /// A registry wants other credentials (401).
    Unauthorized,
    /// Something that is needed is missing or busy now (503).
    Unavailable,
}

/// Failure of an engine operation. `Display` is one line for the user without the cause, which
/// [`std::error::Error::source`] has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("Multiple IDs found with provided prefix: {0}")]
    AmbiguousId(String),
    /// Any conflict with an object's present state, in Docker's words.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Forbidden(String),
    /// An input or output operation on `path` failed.
    #[error("cannot {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{context}")]
    Internal {
        context: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    #[error("{0}")]
    InvalidParameter(String),
    #[error(
        "Conflict. The container name {:?} is already in use by container {id:?}. You have to \
         remove (or rename) that container to be able to reuse that name.",
        format!("/{name}")
    )]
    NameInUse { name: String, id: String },
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    #[error("No such image: {0}")]
    NoSuchImage(String),
    #[error("{0}")]
    NotImplemented(String),
    #[error("{0}")]
    NotModified(String),
    #[error("container {0} is not running")]
    NotRunning(String),
    /// A container or exec could not be started. The text is what Docker shows;
    /// `exit_code` is what the container's state then says (126, 127 or 128).
    #[error("{message}")]
    Start { message: String, exit_code: i32 },
    #[error("{0}")]
    Unauthorized(String),
    /// `hint` says how to get what is missing.
    #[error("{message}")]
    Unavailable { message: String, hint: String },
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::AmbiguousId(_) | Self::InvalidParameter(_) => ErrorKind::InvalidParameter,
            Self::Conflict(_) | Self::NameInUse { .. } | Self::NotRunning(_) => ErrorKind::Conflict,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::File { .. } | Self::Internal { .. } => ErrorKind::Internal,
            Self::NoSuchContainer(_) | Self::NoSuchExec(_) | Self::NoSuchImage(_) => {
                ErrorKind::NotFound
            }
            Self::NotImplemented(_) => ErrorKind::NotImplemented,
            Self::NotModified(_) => ErrorKind::NotModified,
            // As dockerd: a program that is missing or not executable is the caller's mistake.
            Self::Start {
                exit_code: 126 | 127,
                ..
            } => ErrorKind::InvalidParameter,
            Self::Start { .. } => ErrorKind::Internal,
            Self::Unauthorized(_) => ErrorKind::Unauthorized,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
        }
    }

    /// How to repair it, one line, where there is something to say.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unavailable { hint, .. } => Some(hint),
            _ => None,
        }
    }

    /// Exit code that a failed start leaves in the container's state (126, 127 or 128).
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Start { exit_code, .. } => Some(*exit_code),
            _ => None,
        }
    }

    pub(crate) fn internal(
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Internal {
            context: context.into(),
            source: Some(source.into()),
        }
    }

    pub(crate) fn not_yet(what: &str) -> Self {
        Self::NotImplemented(format!("{what} is not implemented yet"))
    }
}
