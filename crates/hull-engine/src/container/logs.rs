//! The log of a container.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{Channel, Engine, Result, error::Error};

/// Which part of a log.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    pub stdout: bool,
    pub stderr: bool,
    /// Go on with what is written until the container ends.
    pub follow: bool,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only so many lines at the end; `None`: all.
    pub tail: Option<u64>,
}

/// One line, or a part of one if the line was longer than 16 KiB. Timestamps and details are the
/// caller's to print.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogEntry {
    pub channel: Channel,
    pub time: Timestamp,
    /// With its line feed, if it had one.
    pub data: Bytes,
    /// Extra attributes (`--details`).
    pub attributes: BTreeMap<String, String>,
}

/// Entries of a log.
#[derive(Debug)]
pub struct LogStream {}

impl LogStream {
    /// Returns the next entry, `None` at the end.
    pub async fn next(&mut self) -> Option<Result<LogEntry>> {
        None
    }
}

impl Engine {
    /// Reads the log of a container.
    ///
    /// # Errors
    /// No such container; neither stream asked for.
    pub async fn logs(&self, container: &str, options: LogOptions) -> Result<LogStream> {
        let _ = (container, options);
        Err(Error::not_yet("logs"))
    }

    /// What the guest's kernel and agent printed on their console at the last start (the file is
    /// capped in size). Empty before the first start.
    ///
    /// # Errors
    /// No such container.
    pub async fn boot_log(&self, container: &str) -> Result<Bytes> {
        let _ = container;
        Err(Error::not_yet("boot log"))
    }
}
