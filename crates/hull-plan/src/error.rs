//! Why a configuration cannot be planned, in Docker's words.

/// Why a configuration cannot be planned. All of these are the caller's mistakes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither the container nor its image says what to run.
    #[error("No command specified")]
    NoCommand,
    /// A value is malformed or out of its range; the text is Docker's.
    #[error("{0}")]
    Invalid(String),
    /// Docker has it, Hull has not.
    #[error("{0}")]
    Unsupported(String),
    /// A driver of the isolation trait that does not exist yet.
    #[error("isolation `{0}` is not built yet: only `vm` can run containers")]
    Isolation(String),
    /// A profile given by `--security-opt seccomp=` cannot be used.
    #[error("invalid seccomp profile")]
    Seccomp(#[source] hull_seccomp::Error),
}

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::Unsupported(message.into())
    }
}
