//! Reads a container's log from systemd's journal, by journalctl(1) and its format `export`
//! (systemd.io/JOURNAL_EXPORT_FORMATS).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{mpsc, watch};

use super::reader::{Stop, is_over};
use super::{LogEntry, LogOptions};
use crate::container::attach::Channel;
use crate::container::entry::Live;
use crate::{Error, Result};

/// Reads the records of one container.
#[derive(Debug)]
pub(super) struct Journal {
    /// `journalctl`.
    pub(super) program: PathBuf,
    /// 64 hexadecimal digits.
    pub(super) container: String,
    pub(super) options: LogOptions,
    pub(super) sender: mpsc::Sender<Result<LogEntry>>,
}

impl Journal {
    /// Reads to the end; with `live`, goes on until the container has ended.
    pub(super) async fn run(self, live: Option<watch::Receiver<Live>>) {
        if let Err(error) = self.read(live).await {
            // Nobody to tell if the client has gone.
            self.sender.send(Err(error)).await.ok();
        }
    }

    async fn read(&self, live: Option<watch::Receiver<Live>>) -> Result<()> {
        let Some(mut live) = live else {
            return self.send_rest(None).await;
        };
        let mut records = self.start(&[self.tail(), "--follow".into()])?;
        let mut last = None;
        loop {
            tokio::select! {
                record = records.next() => match record? {
                    Some(record) => {
                        if self.send(&record).await.is_err() {
                            return Ok(());
                        }
                        last = record.cursor().map(str::to_owned).or(last);
                    }
                    None => return records.end().await,
                },
                over = is_over(&mut live) => {
                    drop(records);
                    if over {
                        return self.send_rest(last).await;
                    }
                    return Ok(());
                }
                () = self.sender.closed() => return Ok(()),
                () = self.options.expired() => return Ok(()),
            }
        }
    }

    /// Sends what there is, or came after the record `last`.
    async fn send_rest(&self, last: Option<String>) -> Result<()> {
        self.synchronize().await;
        let mut records = match last {
            Some(cursor) => {
                self.start(&["--lines=all".into(), format!("--after-cursor={cursor}")])?
            }
            None => self.start(&[self.tail()])?,
        };
        while let Some(record) = records.next().await? {
            if self.send(&record).await.is_err() {
                return Ok(());
            }
        }
        records.end().await
    }

    /// How many records are asked for.
    fn tail(&self) -> String {
        self.options.tail.map_or_else(|| "--lines=all".into(), |tail| format!("--lines={tail}"))
    }

    /// Waits until the journal has what it was sent before. Who may not ask for that reads what is
    /// there.
    async fn synchronize(&self) {
        let mut command = Command::new(&self.program);
        command.arg("--sync").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = command.kill_on_drop(true).status().await;
    }

    fn start(&self, arguments: &[String]) -> Result<Records> {
        let mut command = Command::new(&self.program);
        command.args(["--quiet", "--no-pager", "--output=export"]).args(arguments);
        command.arg(format!("CONTAINER_ID_FULL={}", self.container));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let context = || format!("cannot run {}", self.program.display());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::internal(context(), error))?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| Error::Internal { context: context(), source: None })?;
        Ok(Records { child, output: BufReader::new(output), partial: Record::default() })
    }

    async fn send(&self, record: &Record) -> Result<(), Stop> {
        let Some(entry) = record.entry() else {
            return Ok(());
        };
        match self.options.wants(&entry) {
            Ok(true) => self.sender.send(Ok(entry)).await.map_err(|_| Stop),
            Ok(false) => Ok(()),
            Err(stop) => Err(stop),
        }
    }
}

/// What journalctl prints.
#[derive(Debug)]
struct Records {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What has been read of the next one.
    partial: Record,
}

impl Records {
    /// Returns the next record; `None` at the end. Cancelling it in the middle of a record loses that
    /// record, which is asked for again by the one before it.
    async fn next(&mut self) -> Result<Option<Record>> {
        let failed = |error| Error::internal("cannot read the journal", error);
        loop {
            let mut line = Vec::new();
            if self.output.read_until(b'\n', &mut line).await.map_err(failed)? == 0 {
                return Ok(self.taken());
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            if line.is_empty() {
                if let Some(record) = self.taken() {
                    return Ok(Some(record));
                }
                continue;
            }
            let (name, value) = match line.iter().position(|byte| *byte == b'=') {
                Some(at) => (&line[..at], line[at + 1..].to_vec()),
                None => {
                    let length = self.output.read_u64_le().await.map_err(failed)?;
                    if length > LONGEST {
                        let error = std::io::Error::other("a field is too long");
                        return Err(failed(error));
                    }
                    let mut value = Vec::new();
                    let mut field = (&mut self.output).take(length + 1);
                    field.read_to_end(&mut value).await.map_err(failed)?;
                    value.pop();
                    (line, value)
                }
            };
            self.partial.0.insert(String::from_utf8_lossy(name).into_owned(), value);
        }
    }

    fn taken(&mut self) -> Option<Record> {
        let record = std::mem::take(&mut self.partial);
        (!record.0.is_empty()).then_some(record)
    }

    /// Says why there is no more, if there is a reason.
    async fn end(mut self) -> Result<()> {
        let mut words = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            let _ = (&mut errors).take(LONGEST).read_to_string(&mut words).await;
        }
        let status = self.child.wait().await;
        let status = status.map_err(|error| Error::internal("cannot read the journal", error))?;
        match status.success() || words.trim().is_empty() {
            true => Ok(()),
            false => Err(Error::Internal {
                context: format!("journalctl cannot read the journal: {}", words.trim()),
                source: None,
            }),
        }
    }
}

/// Fields of one record.
#[derive(Debug, Default)]
struct Record(BTreeMap<String, Vec<u8>>);

impl Record {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    fn cursor(&self) -> Option<&str> {
        self.text("__CURSOR")
    }

    /// Returns what the supervisor has sent, as moby's journald reader has it.
    fn entry(&self) -> Option<LogEntry> {
        let mut data = self.0.get("MESSAGE")?.clone();
        if self.text("CONTAINER_PARTIAL_MESSAGE") != Some("true") {
            data.push(b'\n');
        }
        let own = self.text("SYSLOG_TIMESTAMP").and_then(|text| text.parse().ok());
        let journals = || {
            let microseconds = self.text("__REALTIME_TIMESTAMP")?.parse().ok()?;
            Timestamp::from_microsecond(microseconds).ok()
        };
        let is_extra = |name: &str| {
            !name.starts_with('_') && !KNOWN.iter().any(|known| name.starts_with(known))
        };
        let extra = self.0.iter().filter(|(name, _)| is_extra(name));
        Some(LogEntry {
            channel: match self.text("PRIORITY") {
                Some("3") => Channel::Stderr,
                _ => Channel::Stdout,
            },
            time: own.or_else(journals)?,
            data: Bytes::from(data),
            attributes: extra
                .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
                .collect(),
        })
    }
}

/// Beginnings of names of fields that every record has.
const KNOWN: [&str; 9] = [
    "CODE_",
    "CONTAINER_",
    "ERRNO",
    "IMAGE_NAME",
    "MESSAGE",
    "PRIORITY",
    "SYSLOG_",
    "TID",
    "INVOCATION_ID",
];
/// Bytes of a field: more than a container's line has.
const LONGEST: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A `journalctl` that prints `output` and notes how it was called.
    fn program(dir: &std::path::Path, output: &[u8]) -> PathBuf {
        let (path, data) = (dir.join("journalctl"), dir.join("output"));
        std::fs::write(&data, output).unwrap();
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --sync ] && exit 1\necho \"$@\" >> {0}/calls\ncat {0}/output\n",
            dir.display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[tokio::test]
    async fn records_are_entries() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795360882677960\nPRIORITY=3\n\
            CONTAINER_ID=abc\nKEY=value\nMESSAGE\n\x05\0\0\0\0\0\0\0a\nb=c\n\n"
            .to_vec();
        output.extend_from_slice(
            b"__CURSOR=s=1;i=3\nSYSLOG_TIMESTAMP=2026-01-02T03:04:05.6Z\nPRIORITY=6\n\
              CONTAINER_PARTIAL_MESSAGE=true\nMESSAGE=part\n\n",
        );
        let (sender, mut entries) = mpsc::channel(8);
        let journal = Journal {
            program: program(dir.path(), &output),
            container: "abc".into(),
            options: LogOptions {
                stdout: true,
                stderr: true,
                tail: Some(7),
                ..LogOptions::default()
            },
            sender,
        };
        journal.run(None).await;
        let first = entries.recv().await.unwrap().unwrap();
        assert_eq!((first.channel, &first.data[..]), (Channel::Stderr, &b"a\nb=c\n"[..]));
        assert_eq!(first.time.as_microsecond(), 1_795_360_882_677_960);
        assert_eq!(first.attributes, [("KEY".to_owned(), "value".to_owned())].into());
        let second = entries.recv().await.unwrap().unwrap();
        assert_eq!((second.channel, &second.data[..]), (Channel::Stdout, &b"part"[..]));
        assert_eq!(second.time.to_string(), "2026-01-02T03:04:05.6Z");
        assert!(entries.recv().await.is_none());
        let calls = std::fs::read_to_string(dir.path().join("calls")).unwrap();
        assert_eq!(calls, "--quiet --no-pager --output=export --lines=7 CONTAINER_ID_FULL=abc\n");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let (sender, mut entries) = mpsc::channel(1);
        let journal = Journal {
            program: "/nosuch/journalctl".into(),
            container: "abc".into(),
            options: LogOptions::default(),
            sender,
        };
        journal.run(None).await;
        let error = entries.recv().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("/nosuch/journalctl"), "{error}");
    }
}
