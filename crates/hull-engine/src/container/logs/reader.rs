//! Reads Docker's `json-file` format while a supervisor writes it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::{mpsc, watch};
use tracing::debug;

use super::watch::Watch;
use super::{LogEntry, LogOptions};
use crate::container::attach::Channel;
use crate::container::entry::Live;
use crate::{Error, Result};

/// Reads one log: its older files first, then the current one, then what is added to it.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    options: LogOptions,
    sender: mpsc::Sender<Result<LogEntry>>,
}

/// The client has gone or wants no more.
#[derive(Debug)]
struct Stop;

impl Reader {
    pub(super) fn new(
        path: PathBuf,
        options: LogOptions,
        sender: mpsc::Sender<Result<LogEntry>>,
    ) -> Self {
        Self {
            path,
            options,
            sender,
        }
    }

    /// Reads to the end; with `live`, goes on until the container has ended.
    pub(super) async fn run(self, live: Option<watch::Receiver<Live>>) {
        match self.read(live).await {
            Ok(Ok(()) | Err(Stop)) => {}
            Err(error) => {
                // Nobody to tell if the client has gone.
                self.sender.send(Err(error)).await.ok();
            }
        }
    }

    async fn read(&self, live: Option<watch::Receiver<Live>>) -> Result<Result<(), Stop>> {
        // Before anything is read, so that nothing written after that goes unnoticed.
        let changes = match &live {
            Some(_) => Some(Watch::new(&self.path).map_err(Error::file("watch", &self.path))?),
            None => None,
        };
        let files = self.files().await?;
        if self.options.tail == Some(0) {
            // The end of what there is now.
            let current = files.into_iter().next_back();
            let Some(mut current) = current else {
                return self.follow(None, live, changes).await;
            };
            current
                .seek_to_end()
                .await
                .map_err(Error::file("read", &self.path))?;
            return self.follow(Some(current), live, changes).await;
        }
        let current = match self.options.tail {
            Some(count) => match self.send_tail(files, count).await? {
                Ok(current) => current,
                Err(stop) => return Ok(Err(stop)),
            },
            None => {
                let mut last = None;
                for mut file in files {
                    if let Err(stop) = self.send_lines(&mut file).await? {
                        return Ok(Err(stop));
                    }
                    last = Some(file);
                }
                last
            }
        };
        self.follow(current, live, changes).await
    }

    /// Opens the files of the log, oldest first. Opened at once: a rotation renames them.
    async fn files(&self) -> Result<Vec<Lines>> {
        let mut files = VecDeque::new();
        for number in 0.. {
            let path = match number {
                0 => self.path.clone(),
                _ => PathBuf::from(format!("{}.{number}", self.path.display())),
            };
            match Lines::open(&path).await {
                Ok(file) => files.push_front(file),
                // The current one may not exist yet, or not for a moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound && number == 0 => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(Error::file("read", &path)(error)),
            }
        }
        Ok(files.into())
    }

    /// Sends the last `count` entries of all files; returns the current file.
    async fn send_tail(
        &self,
        files: Vec<Lines>,
        count: u64,
    ) -> Result<Result<Option<Lines>, Stop>> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut kept = VecDeque::new();
        let mut current = None;
        for mut file in files {
            while let Some(line) = file.next().await.map_err(Error::file("read", &self.path))? {
                if kept.len() == count {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
            current = Some(file);
        }
        for line in kept {
            if self.send(&line).await.is_err() {
                return Ok(Err(Stop));
            }
        }
        Ok(Ok(current))
    }

    /// Sends all whole lines that are left in a file.
    async fn send_lines(&self, file: &mut Lines) -> Result<Result<(), Stop>> {
        while let Some(line) = file.next().await.map_err(Error::file("read", &self.path))? {
            if self.send(&line).await.is_err() {
                return Ok(Err(Stop));
            }
        }
        Ok(Ok(()))
    }

    async fn follow(
        &self,
        mut current: Option<Lines>,
        live: Option<watch::Receiver<Live>>,
        changes: Option<Watch>,
    ) -> Result<Result<(), Stop>> {
        let (Some(mut live), Some(mut changes)) = (live, changes) else {
            return Ok(Ok(()));
        };
        loop {
            // Asked before reading: what is read after that is all there will be.
            let over = {
                let live = live.borrow_and_update();
                live.removed || !live.state.status.is_running() && live.state.finished_at.is_some()
            };
            if let Some(file) = &mut current
                && let Err(stop) = self.send_lines(file).await?
            {
                return Ok(Err(stop));
            }
            if self.rotated(current.as_ref()).await {
                if let Some(file) = &mut current
                    // What was written between the last read and the rotation.
                    && let Err(stop) = self.send_lines(file).await?
                {
                    return Ok(Err(stop));
                }
                if let Ok(file) = Lines::open(&self.path).await {
                    current = Some(file);
                    continue;
                }
            }
            if over {
                return Ok(Ok(()));
            }
            let expired = async {
                match self.options.until {
                    Some(until) => {
                        let left = until.duration_since(Timestamp::now());
                        tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changes.changed() => {}
                changed = live.changed() => if changed.is_err() { return Ok(Ok(())) },
                () = self.sender.closed() => return Ok(Err(Stop)),
                () = expired => return Ok(Ok(())),
            }
        }
    }

    /// True if the log's name means another file than the one that is read.
    async fn rotated(&self, current: Option<&Lines>) -> bool {
        match (tokio::fs::metadata(&self.path).await, current) {
            (Ok(metadata), Some(current)) => (metadata.dev(), metadata.ino()) != current.identity,
            (Ok(_), None) => true,
            (Err(_), _) => false,
        }
    }

    async fn send(&self, line: &[u8]) -> Result<(), Stop> {
        let entry = match parse(line) {
            Some(entry) => entry,
            None => {
                // A supervisor that was killed while it wrote leaves one such line.
                debug!(path = %self.path.display(), "a damaged line in a log");
                return Ok(());
            }
        };
        let wanted = match entry.channel {
            Channel::Stdout => self.options.stdout,
            Channel::Stderr => self.options.stderr,
        };
        if self.options.until.is_some_and(|until| entry.time > until) {
            return Err(Stop);
        }
        if !wanted || self.options.since.is_some_and(|since| entry.time < since) {
            return Ok(());
        }
        self.sender.send(Ok(entry)).await.map_err(|_| Stop)
    }
}

/// Lines of a file that may grow.
#[derive(Debug)]
struct Lines {
    file: BufReader<File>,
    /// Device and inode.
    identity: (u64, u64),
    /// Beginning of a line that has no end yet.
    partial: Vec<u8>,
}

impl Lines {
    async fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path).await?;
        let metadata = file.metadata().await?;
        Ok(Self {
            file: BufReader::with_capacity(BUFFER, file),
            identity: (metadata.dev(), metadata.ino()),
            partial: Vec::new(),
        })
    }

    /// Returns the next whole line without its line feed; `None` if there is none yet.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.file.read_until(b'\n', &mut self.partial).await?;
        if self.partial.last() != Some(&b'\n') {
            return Ok(None);
        }
        self.partial.pop();
        Ok(Some(std::mem::take(&mut self.partial)))
    }

    /// Skips all whole lines that are there.
    async fn seek_to_end(&mut self) -> io::Result<()> {
        while self.next().await?.is_some() {}
        Ok(())
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    time: Timestamp,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

fn parse(line: &[u8]) -> Option<LogEntry> {
    let line: Line = serde_json::from_slice(line).ok()?;
    Some(LogEntry {
        channel: match line.stream.as_str() {
            "stderr" => Channel::Stderr,
            _ => Channel::Stdout,
        },
        time: line.time,
        data: line.log.into_bytes().into(),
        attributes: line.attrs,
    })
}

const BUFFER: usize = 64 << 10;
