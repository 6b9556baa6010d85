//! Why a profile cannot be used.

/// Why a profile cannot be parsed or compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("unknown seccomp action `{0}`")]
    UnknownAction(String),
    #[error("unknown seccomp comparison `{0}`")]
    UnknownOperator(String),
    #[error("unknown seccomp architecture `{0}`")]
    UnknownArchitecture(String),
    #[error("system call argument {0} does not exist: the last one is 5")]
    ArgumentIndex(u32),
    #[error("seccomp errno {0} is greater than 4095")]
    ErrnoRange(u32),
    #[error("seccomp filter of {0} instructions is longer than the kernel's limit of 4096")]
    TooLong(usize),
}
