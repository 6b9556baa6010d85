//! What a pull or load reports while it goes on, in the shape of Docker's progress messages.

use std::fmt;

/// One progress message: `{"id": ..., "status": ..., "progressDetail": {"current", "total"}}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// The layer (first 12 hex digits of its blob) or the tag this is about.
    pub id: Option<String>,
    /// What happens.
    pub status: LayerStatus,
}

impl Progress {
    /// A message about the layer or tag `id`.
    pub fn of(id: impl Into<String>, status: LayerStatus) -> Self {
        Self { id: Some(id.into()), status }
    }

    /// A message about the whole.
    pub fn note(text: impl Into<String>) -> Self {
        Self { id: None, status: LayerStatus::Note(text.into()) }
    }

    /// Bytes done and bytes in all, where the message has them.
    pub fn detail(&self) -> Option<(u64, u64)> {
        match self.status {
            LayerStatus::Downloading { current, total }
            | LayerStatus::Extracting { current, total } => Some((current, total)),
            _ => None,
        }
    }
}

/// The state of a layer. [`fmt::Display`] gives Docker's words.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LayerStatus {
    /// The layer is in the store already.
    AlreadyExists,
    /// All bytes are here.
    DownloadComplete,
    /// Bytes are coming in.
    Downloading {
        /// Bytes so far.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The layer is being converted.
    Extracting {
        /// Compressed bytes so far.
        current: u64,
        /// Compressed bytes in all.
        total: u64,
    },
    /// Anything else, as `Digest: sha256:...` or `Pulling from library/busybox`.
    Note(String),
    /// The layer is in the store.
    PullComplete,
    /// The layer will be pulled.
    PullingFsLayer,
    /// The download starts over after a failure, in so many seconds.
    Retrying {
        /// Seconds until then.
        seconds: u64,
    },
    /// The digest of the blob is checked.
    VerifyingChecksum,
    /// Other downloads go first.
    Waiting,
}

impl fmt::Display for LayerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyExists => "Already exists",
            Self::DownloadComplete => "Download complete",
            Self::Downloading { .. } => "Downloading",
            Self::Extracting { .. } => "Extracting",
            Self::Note(text) => text,
            Self::PullComplete => "Pull complete",
            Self::PullingFsLayer => "Pulling fs layer",
            Self::Retrying { seconds: 1 } => "Retrying in 1 second",
            Self::Retrying { seconds } => return write!(f, "Retrying in {seconds} seconds"),
            Self::VerifyingChecksum => "Verifying Checksum",
            Self::Waiting => "Waiting",
        })
    }
}
