//! The container's log: a file in Docker's `json-file` format, or the host's journal.
//!
//! Behaves as moby's `daemon/logger/copier.go` and `pkg/jsonfilelog`: one record per line; a line
//! longer than 16 KiB is cut into records of which only the last has a line feed; what a stream
//! ends with is kept without one. Bytes that are no UTF-8 become U+FFFD, each.

mod file;
mod journal;

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;

use self::file::LogFile;
use self::journal::Journal;

use crate::control::Channel;
use crate::launch::LogLaunch;

/// Where output goes.
#[derive(Debug)]
pub(super) struct Log {
    sink: Sink,
    /// What each stream has written since its last line feed.
    lines: [Line; 2],
}

#[derive(Debug)]
enum Sink {
    Nowhere,
    File {
        file: LogFile,
        /// `,"attrs":{...}` in front of the time of every record; mostly empty.
        attributes: String,
        /// Records that have not been written yet.
        waiting: Vec<u8>,
    },
    Journal(Journal),
}

#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    /// When the first record of a line that is cut was made.
    cut_since: Option<Timestamp>,
}

impl Log {
    /// Opens what `launch` says, to append.
    pub(super) fn open(launch: &LogLaunch) -> io::Result<Self> {
        let sink = match launch {
            LogLaunch::JsonFile { file, attributes } => Sink::File {
                file: LogFile::open(file)?,
                attributes: shown(attributes),
                waiting: Vec::new(),
            },
            LogLaunch::Journald { socket, fields } => Sink::Journal(Journal::open(socket, fields)?),
            LogLaunch::None => Sink::Nowhere,
        };
        Ok(Self { sink, lines: Default::default() })
    }

    /// Logs what a stream has written.
    pub(super) fn write(&mut self, channel: Channel, mut bytes: &[u8]) -> io::Result<()> {
        if matches!(self.sink, Sink::Nowhere) {
            return Ok(());
        }
        let line = &mut self.lines[index(channel)];
        let mut outcome = Ok(());
        while !bytes.is_empty() {
            let room = &bytes[..bytes.len().min(LONGEST - line.bytes.len())];
            match room.iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    line.bytes.extend_from_slice(&bytes[..=end]);
                    bytes = &bytes[end + 1..];
                    let time = line.cut_since.take().unwrap_or_else(Timestamp::now);
                    outcome = outcome.and(self.sink.record(&line.bytes, channel, time, false));
                    line.bytes.clear();
                }
                None => {
                    line.bytes.extend_from_slice(room);
                    bytes = &bytes[room.len()..];
                    if line.bytes.len() == LONGEST {
                        outcome = outcome.and(line.cut(&mut self.sink, channel));
                    }
                }
            }
        }
        outcome.and(self.sink.flush())
    }

    /// Logs what a stream has ended with.
    pub(super) fn end(&mut self, channel: Channel) -> io::Result<()> {
        let line = &mut self.lines[index(channel)];
        if line.bytes.is_empty() {
            return Ok(());
        }
        line.cut(&mut self.sink, channel)?;
        self.sink.flush()
    }
}

impl Line {
    fn cut(&mut self, sink: &mut Sink, channel: Channel) -> io::Result<()> {
        let time = *self.cut_since.get_or_insert_with(Timestamp::now);
        let outcome = sink.record(&self.bytes, channel, time, true);
        self.bytes.clear();
        outcome
    }
}

impl Sink {
    /// Takes a line, or a part that is not its end.
    fn record(
        &mut self,
        line: &[u8],
        channel: Channel,
        time: Timestamp,
        is_part: bool,
    ) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::File { attributes, waiting, .. } => {
                record(waiting, line, channel, attributes, time);
                Ok(())
            }
            Self::Journal(journal) => journal.record(line, channel, time, is_part),
        }
    }

    /// Writes what waits.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { file, waiting, .. } => {
                let outcome = file.write(waiting);
                waiting.clear();
                outcome
            }
            Self::Nowhere | Self::Journal(_) => Ok(()),
        }
    }
}

/// Writes attributes as they stand in a record.
fn shown(attributes: &BTreeMap<String, String>) -> String {
    let quoted = |text: &str| {
        let mut out = Vec::new();
        escape(&mut out, text.as_bytes());
        String::from_utf8_lossy(&out).into_owned()
    };
    let pairs: Vec<_> = attributes
        .iter()
        .map(|(key, value)| format!("\"{}\":\"{}\"", quoted(key), quoted(value)))
        .collect();
    match pairs.is_empty() {
        true => String::new(),
        false => format!(",\"attrs\":{{{}}}", pairs.join(",")),
    }
}

fn record(out: &mut Vec<u8>, line: &[u8], channel: Channel, attributes: &str, time: Timestamp) {
    out.extend_from_slice(b"{\"log\":\"");
    escape(out, line);
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(channel.name().as_bytes());
    out.extend_from_slice(b"\"");
    out.extend_from_slice(attributes.as_bytes());
    out.extend_from_slice(b",\"time\":\"");
    out.extend_from_slice(time.to_string().as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// Writes `text` as moby's `jsonlog` does (`ffjsonWriteJSONBytesAsString`).
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
                }
                _ => {
                    let mut buffer = [0; 4];
                    out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                }
            }
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

fn index(channel: Channel) -> usize {
    match channel {
        Channel::Stdout => 0,
        Channel::Stderr => 1,
    }
}

/// Most bytes of a record (moby's `defaultBufSize`).
const LONGEST: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::launch::LogFileLaunch;

    fn launch(path: &Path, max_size: Option<u64>, max_file: u32) -> LogLaunch {
        let attributes = BTreeMap::from([("tag".to_owned(), "a\"b".to_owned())]);
        let file = LogFileLaunch { path: path.to_owned(), max_size, max_file, compress: false };
        LogLaunch::JsonFile { file, attributes }
    }

    fn logged(pieces: &[(Channel, &[u8])]) -> Vec<serde_json::Value> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::open(&launch(&path, None, 0)).unwrap();
        for (channel, piece) in pieces {
            log.write(*channel, piece).unwrap();
        }
        log.end(Channel::Stdout).unwrap();
        log.end(Channel::Stderr).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn lines_of_both_streams_are_put_together() {
        let records = logged(&[
            (Channel::Stdout, b"one\ntw"),
            (Channel::Stderr, b"error\n"),
            (Channel::Stdout, b"o\n\nlast"),
        ]);
        let seen: Vec<_> = records
            .iter()
            .map(|it| (it["stream"].as_str().unwrap(), it["log"].as_str().unwrap()))
            .collect();
        assert_eq!(
            seen,
            [
                ("stdout", "one\n"),
                ("stderr", "error\n"),
                ("stdout", "two\n"),
                ("stdout", "\n"),
                ("stdout", "last"),
            ]
        );
        assert_eq!(records[0]["attrs"]["tag"], "a\"b");
        let time = records[0]["time"].as_str().unwrap();
        assert!(time.parse::<Timestamp>().is_ok() && time.ends_with('Z'), "{time}");
    }

    #[test]
    fn long_lines_are_cut_as_docker_cuts_them() {
        let mut line = vec![b'x'; 2 * LONGEST];
        line.push(b'\n');
        let records = logged(&[(Channel::Stdout, &line[..100]), (Channel::Stdout, &line[100..])]);
        let sizes: Vec<_> = records.iter().map(|it| it["log"].as_str().unwrap().len()).collect();
        assert_eq!(sizes, [LONGEST, LONGEST, 1]);
        assert_eq!(records[2]["log"], "\n");
        assert_eq!(records[0]["time"], records[2]["time"]);
    }

    #[test]
    fn bytes_are_escaped_as_docker_escapes_them() {
        let mut out = Vec::new();
        escape(&mut out, b"a\"\\\t\x1b\x7f<&>\xff\xfe\xe2\x82\xc3\xa9\xe2\x80\xa8\n");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\\\"\\\\\\u0009\\u001b\x7f\\u003c\\u0026\\u003e\\ufffd\\ufffd\\ufffd\\ufffd\u{e9}\
             \\u2028\\n"
        );
    }

    #[test]
    fn full_files_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::open(&launch(&path, Some(130), 3)).unwrap();
        for line in 0..10 {
            log.write(Channel::Stdout, format!("line {line}\n").as_bytes()).unwrap();
        }
        let lines = |name: &str| {
            let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
            text.lines().count()
        };
        assert_eq!((lines("log"), lines("log.1"), lines("log.2")), (2, 2, 2));
        assert!(!dir.path().join("log.3").exists());
    }
}
