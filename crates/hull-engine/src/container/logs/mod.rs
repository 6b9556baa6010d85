//! The log of a container.

mod journal;
mod reader;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;

use self::journal::Journal;
use self::reader::Reader;
use super::attach::Channel;
use super::entry::Container;
use super::launch::log_path;
use crate::{Engine, Error, Result};

/// Which part of a log.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    pub stdout: bool,
    pub stderr: bool,
    /// Go on with what is written until the container ends.
    pub follow: bool,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only so many entries at the end, counted over both streams; `None`: all.
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

/// Entries of a log. Dropping it ends the reading.
#[derive(Debug)]
pub struct LogStream {
    entries: mpsc::Receiver<Result<LogEntry>>,
}

impl LogStream {
    /// Returns the next entry, `None` at the end. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Result<LogEntry>> {
        self.entries.recv().await
    }
}

impl Engine {
    /// Reads the log of a container.
    ///
    /// # Errors
    /// No such container; neither stream asked for.
    pub async fn logs(&self, container: &str, options: LogOptions) -> Result<LogStream> {
        if !options.stdout && !options.stderr {
            return Err(Error::InvalidParameter("You must choose at least one stream".into()));
        }
        let container = self.inner.containers.find(container)?;
        if container.live().removing {
            return Err(Error::Conflict(
                "can not get logs from container which is dead or marked for removal".into(),
            ));
        }
        self.log_stream(&container, options)
    }

    pub(crate) fn log_stream(
        &self,
        container: &Arc<Container>,
        options: LogOptions,
    ) -> Result<LogStream> {
        // A container that does not run writes nothing that could be followed.
        let watch = (options.follow && container.task().is_some()).then(|| container.watch());
        if container.record().config.host.log.driver == "journald" {
            let (sender, entries) = mpsc::channel(ENTRIES);
            let (program, container) = (JOURNALCTL.into(), container.id.clone());
            tokio::spawn(Journal { program, container, options, sender }.run(watch));
            return Ok(LogStream { entries });
        }
        let path = log_path(&container.dir, &container.record()).ok_or_else(|| {
            Error::NotImplemented("configured logging driver does not support reading".into())
        })?;
        let (sender, entries) = mpsc::channel(ENTRIES);
        let reader = Reader::new(path, options, sender);
        tokio::spawn(reader.run(watch));
        Ok(LogStream { entries })
    }

    /// What the guest's kernel and agent printed on their console at the last start (the file is
    /// capped in size). Empty before the first start.
    ///
    /// # Errors
    /// No such container.
    pub async fn boot_log(&self, container: &str) -> Result<Bytes> {
        let container = self.inner.containers.find(container)?;
        let path = container.dir.join(hull_supervisor::paths::BOOT_LOG);
        match tokio::fs::read(&path).await {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Bytes::new()),
            Err(error) => Err(Error::file("read", &path)(error)),
        }
    }
}

/// journalctl(1), found by `PATH`.
const JOURNALCTL: &str = "journalctl";
/// Entries that wait between the reader and its client.
const ENTRIES: usize = 64;
