//! How a command fails: what is printed, and the exit code.

use std::fmt;

use crate::client::ClientError;
use crate::flags::Usage;
use crate::output::chain;

/// Why a command ends without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing is left to say: the exit code of a container, or errors that were printed before.
    Code(u8),
    /// `--help` was asked for: no failure at all.
    Help(String),
    /// One text (of one or more lines) and an exit code.
    Message { text: String, hint: Option<String>, code: u8 },
}

impl Failure {
    /// A failure with exit code 1.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::Message { text: text.into(), hint: None, code: 1 }
    }

    /// A failure with exit code 1 and a way out of it.
    pub(crate) fn with_hint(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Message { text: text.into(), hint: Some(hint.into()), code: 1 }
    }

    /// A flag that there is not, or a value that it cannot have.
    pub(crate) fn flag(usage: &Usage, message: impl fmt::Display) -> Self {
        let Usage { path, arguments, .. } = usage;
        Self::Message {
            text: format!(
                "{message}\n\nUsage:  {path} {arguments}\n\nRun '{path} --help' for more information"
            ),
            hint: None,
            code: 125,
        }
    }

    /// The wrong number of arguments.
    pub(crate) fn arity(usage: &Usage, what: &str) -> Self {
        let Usage { path, arguments, .. } = usage;
        // Docker says it in two ways, and scripts that compare see the difference.
        let see = if what.starts_with("requires at least") { "See" } else { "Run" };
        Self::Message {
            text: format!(
                "hull: '{path}' {what}\n\nUsage:  {path} {arguments}\n\n\
                 {see} '{path} --help' for more information"
            ),
            hint: None,
            code: 1,
        }
    }

    /// Makes this the failure of a `run` whose flags make no sense: with the program's name in
    /// front, and exit code 125.
    pub(crate) fn of_flags(self, path: &str) -> Self {
        self.of_stage(path, |_| 125)
    }

    /// Makes this the failure of a `run` that did not get as far as the container's program: with
    /// the program's name in front, and exit code 125, or 126 or 127 if the program is the reason.
    /// Docker's client tells that by words of the error, wherever it comes from.
    pub(crate) fn of_run(self, path: &str) -> Self {
        self.of_stage(path, |text| {
            let any = |texts: &[&str]| texts.iter().any(|part| text.contains(part));
            if any(&["executable file not found", "no such file or directory"]) {
                127
            } else if any(&["permission denied", "is a directory"]) {
                126
            } else {
                125
            }
        })
    }

    fn of_stage(self, path: &str, code: impl Fn(&str) -> u8) -> Self {
        let Self::Message { text, hint, .. } = self else {
            return self;
        };
        let code = code(&text);
        Self::Message {
            text: format!("hull: {text}\n\nRun '{path} --help' for more information"),
            hint,
            code,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Help(text) | Self::Message { text, .. } => f.write_str(text),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Message { text: chain(&error), hint: error.hint().map(str::to_owned), code: 1 }
    }
}

impl From<std::io::Error> for Failure {
    /// Writing to a closed pipe is how readers say that they have enough: no message, and the exit
    /// code that a shell gives to SIGPIPE.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::Code(141);
        }
        Self::new(error.to_string())
    }
}
