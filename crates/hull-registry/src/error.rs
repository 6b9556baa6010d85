//! What goes wrong between here and a registry, in Docker's words where Docker has them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::{Digest, ManifestError, Platform};

/// Why a registry did not give what was asked for.
///
/// [`fmt::Display`] gives the whole message as Docker's daemon would, causes included.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry refuses access to the repository, or it is not there.
    #[error(
        "pull access denied for {name}, repository does not exist or may require 'docker login': \
         {error}"
    )]
    Denied {
        /// The repository as users write it.
        name: String,
        /// What the registry said.
        error: ApiError,
    },
    /// The blob is not what its digest says.
    #[error("filesystem layer verification failed for digest {digest}")]
    BlobDigest {
        /// The digest asked for.
        digest: Digest,
    },
    /// The blob is longer or shorter than the manifest says.
    #[error("blob {digest} has a wrong size: the manifest says {expected} bytes, got {found}")]
    BlobSize {
        /// The digest asked for.
        digest: Digest,
        /// Bytes by the manifest.
        expected: u64,
        /// Bytes by the registry, as far as they were counted.
        found: u64,
    },
    /// The registry does not have a blob its manifest names.
    #[error("blob {digest} not found: {error}")]
    BlobUnknown {
        /// The digest asked for.
        digest: Digest,
        /// What the registry said.
        error: ApiError,
    },
    /// A credential helper failed.
    #[error("error getting credentials")]
    Credentials(#[from] crate::DockerConfigError),
    /// The index refers to indexes too deeply.
    #[error("manifest lists of {name} are nested deeper than {limit} levels")]
    Depth {
        /// The repository as users write it.
        name: String,
        /// The limit.
        limit: usize,
    },
    /// A layer whose content lies elsewhere.
    #[error(
        "layer {digest} is a foreign layer (its content lies at {url}): foreign layers are not \
         supported"
    )]
    ForeignLayer {
        /// Its digest.
        digest: Digest,
        /// Where its content is said to be.
        url: String,
    },
    /// The manifest cannot be understood.
    #[error("cannot use manifest of {name}: {error}")]
    Manifest {
        /// The reference as users write it.
        name: String,
        /// Why.
        error: ManifestError,
    },
    /// The manifest is not what its digest says.
    #[error("manifest verification failed for digest {digest}")]
    ManifestDigest {
        /// The digest asked for, or sent along.
        digest: Digest,
    },
    /// The registry has no such manifest.
    #[error("manifest for {reference} not found: {error}")]
    ManifestUnknown {
        /// The reference as users write it.
        reference: String,
        /// What the registry said.
        error: ApiError,
    },
    /// The registry has no such repository.
    #[error("repository {name} not found: {error}")]
    NameUnknown {
        /// The repository as users write it.
        name: String,
        /// What the registry said.
        error: ApiError,
    },
    /// The index has nothing for the platform.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(Platform),
    /// No answer was understood.
    #[error("{method} \"{url}\": {cause}")]
    Request {
        /// `Get` or `Post`.
        method: &'static str,
        /// Of which address, without query secrets.
        url: String,
        /// Why, in Go's words.
        cause: Cause,
    },
    /// The registry answered with an error.
    #[error("{0}")]
    Response(ApiError),
    /// TLS cannot be set up: no usable root certificates or a bad file.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl Error {
    /// What sort of failure this is, for HTTP statuses and exit codes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Denied { .. }
            | Self::ManifestUnknown { .. }
            | Self::NameUnknown { .. }
            | Self::NoPlatform(_) => Kind::NotFound,
            Self::Response(error) => match error.code.as_str() {
                "UNAUTHORIZED" => Kind::Unauthorized,
                "DENIED" => Kind::Forbidden,
                "TOOMANYREQUESTS" | "UNAVAILABLE" => Kind::Unavailable,
                _ => Kind::Other,
            },
            Self::Request { .. } => Kind::Unavailable,
            _ => Kind::Other,
        }
    }
}

/// Sorts of failures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Known, but not allowed.
    Forbidden,
    /// Nothing of that name, or it must not be known.
    NotFound,
    /// Anything else.
    Other,
    /// The registry cannot be reached or is overloaded.
    Unavailable,
    /// Not without credentials.
    Unauthorized,
}

/// Why a request got no usable answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The connection broke.
    Broken(String),
    /// No TCP connection.
    Connect(String),
    /// The registry wants credentials and there are none.
    NoCredentials,
    /// Anything else, in words.
    Other(String),
    /// TLS was answered with plain HTTP.
    PlainHttp,
    /// Nothing came for so long.
    Stalled(Duration),
    /// The time for connecting and for the first answer is over.
    Timeout,
    /// The TLS handshake failed.
    Tls(String),
    /// The token server says no.
    Token(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(text)
            | Self::Connect(text)
            | Self::Other(text)
            | Self::Tls(text)
            | Self::Token(text) => f.write_str(text),
            Self::NoCredentials => f.write_str("no basic auth credentials"),
            Self::PlainHttp => f.write_str("http: server gave HTTP response to HTTPS client"),
            Self::Stalled(time) => {
                write!(f, "no data received for {} seconds", time.as_secs_f32().round())
            }
            Self::Timeout => f.write_str(
                "net/http: request canceled while waiting for connection (Client.Timeout exceeded \
                 while awaiting headers)",
            ),
        }
    }
}

/// An error in the registry's own words.
///
/// See the OCI distribution specification, "Error Codes".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// As `MANIFEST_UNKNOWN`; empty when the answer had none.
    pub code: String,
    /// What the registry said, or what its answer was.
    pub message: String,
}

impl ApiError {
    /// Reads the body of an answer with an error status.
    pub(crate) fn parse(status: u16, body: &[u8]) -> Self {
        let reason = http::StatusCode::from_u16(status)
            .ok()
            .and_then(|s| s.canonical_reason())
            .unwrap_or("");
        if let Ok(answer) = serde_json::from_slice::<Answer>(body) {
            if let Some(first) = answer.errors.unwrap_or_default().into_iter().next() {
                let code = first.code.unwrap_or_default();
                let message = first.message.unwrap_or_default();
                return Self { status, code, message: printable(&message) };
            }
            // What token servers and proxies send.
            if let Some(details) = answer.details.or(answer.message) {
                let code = match status {
                    401 => "UNAUTHORIZED",
                    403 => "DENIED",
                    429 => "TOOMANYREQUESTS",
                    _ => "UNKNOWN",
                };
                return Self { status, code: code.to_owned(), message: printable(&details) };
            }
        }
        let (code, message) = match status {
            401 => ("UNAUTHORIZED", "authentication required".to_owned()),
            403 => ("DENIED", "requested access to the resource is denied".to_owned()),
            429 => ("TOOMANYREQUESTS", "too many requests".to_owned()),
            _ => ("", format!("received unexpected HTTP status: {status} {reason}")),
        };
        Self { status, code: code.to_owned(), message }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() {
            return f.write_str(&self.message);
        }
        let code = self.code.to_ascii_lowercase().replace('_', " ");
        write!(f, "{}: {}", printable(&code), self.message)
    }
}

/// Registries must not write control sequences to terminals, nor novels.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(1000).collect()
}

#[derive(Deserialize)]
struct Answer {
    errors: Option<Vec<AnswerError>>,
    details: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct AnswerError {
    code: Option<String>,
    message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_errors_of_registries() {
        for (status, body, shown) in [
            (
                404,
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#,
                "manifest unknown: manifest unknown",
            ),
            (
                401,
                r#"{"details":"incorrect username or password"}"#,
                "unauthorized: incorrect username or password",
            ),
            (401, "", "unauthorized: authentication required"),
            (500, "<html>", "received unexpected HTTP status: 500 Internal Server Error"),
            (403, r#"{"errors":[]}"#, "denied: requested access to the resource is denied"),
            (400, "{\"errors\":[{\"code\":\"X\",\"message\":\"a\\u001b[2Jb\"}]}", "x: a[2Jb"),
            (400, r#"{"errors":null}"#, "received unexpected HTTP status: 400 Bad Request"),
        ] {
            assert_eq!(ApiError::parse(status, body.as_bytes()).to_string(), shown);
        }
    }
}
