//! Why a measurement failed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("interrupted")]
    Interrupted,
    #[error("cannot run `{command}`")]
    Spawn {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` ended with {code}: {errors}")]
    Ended { command: String, code: i32, errors: String },
    #[error("`{command}` did not end within {} s", limit.as_secs())]
    TimeLimit { command: String, limit: Duration },
    #[error("cannot {verb} {}", path.display())]
    File {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no result of this benchmark", path.display())]
    Document {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{} has format {found}, this benchmark reads {expected}", path.display())]
    Format { path: PathBuf, found: u32, expected: u32 },
    #[error("{0}")]
    Unexpected(String),
}

impl Failure {
    /// Returns a function that says which file an error is about.
    pub(crate) fn file(
        verb: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { verb, path: path.into(), source }
    }

    /// Returns the first line of what a command said when it failed, else the message: the reason
    /// why something is skipped.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Ended { errors, .. } if !errors.trim().is_empty() => {
                errors.trim().lines().next().unwrap_or_default().to_owned()
            }
            other => chain(other),
        }
    }
}

/// Returns an error and its sources, joined with colons.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
