//! Why a configuration cannot be planned, in Docker's words.

/// Why a configuration cannot be planned. All of these are the caller's mistakes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("no command specified")]
    NoCommand,
    #[error("{0}")]
    Invalid(String),
    #[error("isolation `{0}` is not built yet: only `vm` can run containers")]
    Isolation(String),
}
