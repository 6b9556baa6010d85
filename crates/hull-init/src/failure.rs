//! Why a request failed, as it goes back to the host.
//!
//! Everything that fails here ends up as one line of text on the other side of the channel, so
//! that errors are composed as text where they arise, in the words that runc uses (Docker's users
//! know them), instead of as a chain of types.

use std::fmt;

use hull_protocol::{ErrorCode, RpcError};
use rustix::io::Errno;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Failed, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// Returns the failure as bytes for a pipe between a child and the agent.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![match self.code {
            ErrorCode::Invalid => 0,
            ErrorCode::NotFound => 1,
            ErrorCode::NotExecutable => 2,
            ErrorCode::NoProgram => 3,
            ErrorCode::Failed => 4,
            ErrorCode::Unsupported => 5,
        }];
        bytes.extend_from_slice(self.message.as_bytes());
        bytes
    }

    /// Reads what [`Failure::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let code = match bytes.first() {
            Some(0) => ErrorCode::Invalid,
            Some(1) => ErrorCode::NotFound,
            Some(2) => ErrorCode::NotExecutable,
            Some(3) => ErrorCode::NoProgram,
            Some(5) => ErrorCode::Unsupported,
            _ => ErrorCode::Failed,
        };
        let message = String::from_utf8_lossy(bytes.get(1..).unwrap_or_default());
        Self::new(code, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Failure> for RpcError {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message }
    }
}

/// Says what was being done when something failed.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::result::Result<T, Errno> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Failure::failed(format!("{}: {}", what(), errno_text(errno))))
    }
}

impl<T> Context<T> for Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|failure| Failure::new(failure.code, format!("{}: {failure}", what())))
    }
}

/// Returns the text of an error number as Go prints it: the C library's, in lower case.
pub(crate) fn errno_text(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_ascii_lowercase()
}

/// Returns a string as Go's `%q` prints it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_read_as_in_go() {
        assert_eq!(errno_text(Errno::NOENT), "no such file or directory");
        assert_eq!(errno_text(Errno::NOEXEC), "exec format error");
        assert_eq!(errno_text(Errno::ACCESS), "permission denied");
    }

    #[test]
    fn quoting_is_that_of_go() {
        assert_eq!(quoted("a\"b\\c\n\u{1}\u{e9}"), "\"a\\\"b\\\\c\\n\\x01\u{e9}\"");
    }

    #[test]
    fn failures_survive_a_pipe() {
        let failure = Failure::new(ErrorCode::NoProgram, "exec: x");
        assert_eq!(Failure::decode(&failure.encode()), failure);
    }
}
