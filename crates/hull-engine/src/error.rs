//! What can go wrong, in Docker's words where Docker users know them.

use std::io;
use std::path::{Path, PathBuf};

use hull_supervisor::client::ClientError;

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
    #[error("multiple IDs found with provided prefix: {0}")]
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
        source: io::Error,
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
    /// No such object of another kind, in Docker's words.
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    NotImplemented(String),
    #[error("{0}")]
    NotModified(String),
    #[error("container {0} is not running")]
    NotRunning(String),
    /// A container or exec could not be started. The text is what Docker shows;
    /// `exit_code` is what the container's state then says (126, 127 or 128).
    #[error("{message}")]
    Start { message: String, exit_code: i32, hint: Option<String> },
    /// The container's supervisor failed to do what it was asked for.
    #[error("{context}: {}", one_line(&**cause))]
    Supervisor {
        context: String,
        // Not the `source`: Docker's clients see one line only, so the cause is in it.
        cause: Box<ClientError>,
    },
    #[error("{0}")]
    Unauthorized(String),
    /// `hint` says how to get what is missing.
    #[error("{message}")]
    Unavailable { message: String, hint: String },
    /// Another failure with Docker's words before it.
    #[error("{context}: {inner}")]
    Within { context: String, inner: Box<Error> },
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::AmbiguousId(_) | Self::InvalidParameter(_) => ErrorKind::InvalidParameter,
            Self::Conflict(_) | Self::NameInUse { .. } | Self::NotRunning(_) => ErrorKind::Conflict,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::File { .. } | Self::Internal { .. } | Self::Supervisor { .. } => {
                ErrorKind::Internal
            }
            Self::NoSuchContainer(_)
            | Self::NoSuchExec(_)
            | Self::NoSuchImage(_)
            | Self::NotFound(_) => ErrorKind::NotFound,
            Self::NotImplemented(_) => ErrorKind::NotImplemented,
            Self::NotModified(_) => ErrorKind::NotModified,
            // As dockerd: a program that is missing or not executable is the caller's mistake.
            Self::Start { exit_code: 126 | 127, .. } => ErrorKind::InvalidParameter,
            Self::Start { .. } => ErrorKind::Internal,
            Self::Unauthorized(_) => ErrorKind::Unauthorized,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Within { inner, .. } => inner.kind(),
        }
    }

    /// How to repair it, one line, where there is something to say.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Start { hint, .. } => hint.as_deref(),
            Self::Supervisor { cause, .. } => match &**cause {
                ClientError::Failed(failure) => failure.hint.as_deref(),
                _ => None,
            },
            Self::Unavailable { hint, .. } => Some(hint),
            Self::Within { inner, .. } => inner.hint(),
            _ => None,
        }
    }

    /// Exit code that a failed start leaves in the container's state (126, 127 or 128).
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Start { exit_code, .. } => Some(*exit_code),
            Self::Within { inner, .. } => inner.exit_code(),
            _ => None,
        }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn internal(
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Internal { context: context.into(), source: Some(source.into()) }
    }

    pub(crate) fn supervisor(context: impl Into<String>) -> impl FnOnce(ClientError) -> Self {
        let context = context.into();
        move |cause| Self::Supervisor { context, cause: Box::new(cause) }
    }

    pub(crate) fn within(self, context: impl Into<String>) -> Self {
        Self::Within { context: context.into(), inner: Box::new(self) }
    }

    /// Returns another error for another of several who wait for the same work.
    pub(crate) fn replicate(&self) -> Self {
        match self {
            Self::Conflict(message) => Self::Conflict(message.clone()),
            Self::Forbidden(message) => Self::Forbidden(message.clone()),
            Self::InvalidParameter(message) => Self::InvalidParameter(message.clone()),
            Self::NotFound(message) => Self::NotFound(message.clone()),
            Self::NotImplemented(message) => Self::NotImplemented(message.clone()),
            Self::NoSuchImage(name) => Self::NoSuchImage(name.clone()),
            Self::Unauthorized(message) => Self::Unauthorized(message.clone()),
            error => Self::Internal { context: one_line(error), source: None },
        }
    }
}

/// Returns an error and its causes in one line, without what a cause only repeats.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

impl From<hull_plan::Error> for Error {
    fn from(error: hull_plan::Error) -> Self {
        match error {
            hull_plan::Error::Isolation(_) => Self::NotImplemented(error.to_string()),
            _ => Self::InvalidParameter(error.to_string()),
        }
    }
}
