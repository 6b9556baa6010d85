//! Why a profile cannot be used.

/// Why a profile cannot be parsed or compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("Decoding seccomp profile failed")]
    Json(#[source] serde_json::Error),
    #[error(
        "both 'architectures' and 'archMap' are specified in the seccomp profile, \
         use either 'architectures' or 'archMap'"
    )]
    TwoArchitectureLists,
    #[error(
        "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
    )]
    TwoNameLists,
    #[error("seccomp profile asks for kernel `{0}`, which is not of the form major.minor")]
    KernelVersion(String),
    #[error("unknown seccomp action `{0}`")]
    UnknownAction(String),
    #[error("seccomp action `{0}` needs a listener, which Hull does not offer")]
    Listener(String),
    #[error("seccomp flag `{0}` is not supported")]
    Flag(String),
    #[error("unknown seccomp comparison `{0}`")]
    UnknownOperator(String),
    #[error("unknown seccomp architecture `{0}`")]
    UnknownArchitecture(String),
    #[error("system call argument {0} does not exist: the last one is 5")]
    ArgumentIndex(u32),
    #[error("seccomp errno {0} is greater than 4095")]
    ErrnoRange(u32),
    #[error(
        "seccomp filter of {0} instructions is longer than the kernel's limit of {limit}",
        limit = crate::compile::MAX_LENGTH
    )]
    TooLong(usize),
}
