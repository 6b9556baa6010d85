//! Reads Docker's `json-file` format while a supervisor writes it.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, BufReader};
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
pub(super) struct Stop;

impl Reader {
    pub(super) fn new(
        path: PathBuf,
        options: LogOptions,
        sender: mpsc::Sender<Result<LogEntry>>,
    ) -> Self {
        Self { path, options, sender }
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
        let mut current = None;
        for mut file in self.skip_to_tail(files).await? {
            if let Err(stop) = self.send_lines(&mut file).await? {
                return Ok(Err(stop));
            }
            current = Some(file);
        }
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
            let mut opened = Lines::open(&path).await;
            if number > 0 && is_absent(&opened) {
                opened = Lines::open_compressed(&path).await;
            }
            match opened {
                Ok(file) => files.push_front(file),
                // The current one may not exist yet, or not for a moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound && number == 0 => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(Error::file("read", &path)(error)),
            }
        }
        Ok(files.into())
    }

    /// Leaves the files from which the last entries come, each placed at the first of them. The
    /// current file is always among them, to go on from.
    async fn skip_to_tail(&self, files: Vec<Lines>) -> Result<Vec<Lines>> {
        let Some(mut wanted) = self.options.tail else {
            return Ok(files);
        };
        let mut kept = VecDeque::new();
        for mut file in files.into_iter().rev() {
            if wanted == 0 && !kept.is_empty() {
                break;
            }
            let skipped = file.skip_to_last(wanted).await;
            wanted -= skipped.map_err(Error::file("read", &self.path))?;
            kept.push_front(file);
        }
        Ok(kept.into())
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
            let over = { has_ended(&live.borrow_and_update()) };
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
                // Others may have come and gone out of the name since.
                let files = self.files().await?;
                let at = files.iter().position(|file| {
                    current.as_ref().is_some_and(|current| current.identity == file.identity)
                });
                let newer = files.into_iter().skip(at.map_or(0, |at| at + 1));
                let mut moved = false;
                for mut file in newer {
                    if let Err(stop) = self.send_lines(&mut file).await? {
                        return Ok(Err(stop));
                    }
                    current = Some(file);
                    moved = true;
                }
                if moved {
                    continue;
                }
            }
            if over {
                return Ok(Ok(()));
            }
            tokio::select! {
                () = changes.changed() => {}
                changed = live.changed() => if changed.is_err() { return Ok(Ok(())) },
                () = self.sender.closed() => return Ok(Err(Stop)),
                () = self.options.expired() => return Ok(Ok(())),
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
        if !self.options.wants(&entry)? {
            return Ok(());
        }
        self.sender.send(Ok(entry)).await.map_err(|_| Stop)
    }
}

impl LogOptions {
    /// Whether an entry is asked for; `Stop`: nothing after it is, either.
    pub(super) fn wants(&self, entry: &LogEntry) -> Result<bool, Stop> {
        if self.until.is_some_and(|until| entry.time > until) {
            return Err(Stop);
        }
        let wanted = match entry.channel {
            Channel::Stdout => self.stdout,
            Channel::Stderr => self.stderr,
        };
        Ok(wanted && self.since.is_none_or(|since| entry.time >= since))
    }

    /// Waits until nothing that is written is asked for any more.
    pub(super) async fn expired(&self) {
        match self.until {
            Some(until) => {
                let left = until.duration_since(Timestamp::now());
                tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
            }
            None => std::future::pending().await,
        }
    }
}

/// Waits for a container's end; `false`: nobody will say.
pub(super) async fn is_over(live: &mut watch::Receiver<Live>) -> bool {
    live.wait_for(has_ended).await.is_ok()
}

fn has_ended(live: &Live) -> bool {
    live.removed || !live.state.status.is_running() && live.state.finished_at.is_some()
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

    /// Opens `<path>.gz`, which a supervisor has made of the file at `path`.
    async fn open_compressed(path: &Path) -> io::Result<Self> {
        let path = PathBuf::from(format!("{}.gz", path.display()));
        let plain = tokio::task::spawn_blocking(move || decompress(&path)).await;
        let (file, identity) = plain.map_err(io::Error::other)??;
        let file = BufReader::with_capacity(BUFFER, File::from_std(file));
        Ok(Self { file, identity, partial: Vec::new() })
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

    /// Places the file at the first of its last `count` whole lines, and returns how many there
    /// are of these.
    async fn skip_to_last(&mut self, count: u64) -> io::Result<u64> {
        let file = self.file.get_mut();
        let mut end = file.metadata().await?.len();
        let mut found = 0;
        let mut begin = 0;
        let mut block = vec![0; BUFFER];
        'search: while end > 0 {
            let length = end.min(BUFFER as u64);
            end -= length;
            // Fits: it is not longer than the buffer.
            let block = &mut block[..length as usize];
            file.seek(SeekFrom::Start(end)).await?;
            file.read_exact(block).await?;
            for (at, byte) in block.iter().enumerate().rev() {
                if *byte != b'\n' {
                    continue;
                }
                // Each line feed ends a line; one more than wanted is the end of the line before.
                if found == count {
                    begin = end + at as u64 + 1;
                    break 'search;
                }
                found += 1;
            }
        }
        self.file.seek(SeekFrom::Start(begin)).await?;
        Ok(found)
    }
}

fn is_absent<T>(opened: &io::Result<T>) -> bool {
    opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Returns the content in a file without a name, and which file it was (device and inode): the
/// comment says so.
fn decompress(path: &Path) -> io::Result<(std::fs::File, (u64, u64))> {
    let mut decoder = GzDecoder::new(std::fs::File::open(path)?);
    let comment = decoder.header().and_then(|header| header.comment());
    let comment = comment.and_then(|comment| std::str::from_utf8(comment).ok());
    let identity = comment
        .and_then(|comment| comment.split_once(':'))
        .and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)))
        .unwrap_or_default();
    let mut plain = tempfile::tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
    io::copy(&mut decoder, &mut plain)?;
    plain.rewind()?;
    Ok((plain, identity))
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

#[cfg(test)]
mod tests;
