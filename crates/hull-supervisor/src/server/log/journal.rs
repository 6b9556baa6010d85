//! systemd's journal, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram per
//! record, fields as moby's `daemon/logger/journald` names them.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::control::Channel;

/// The journal of the host.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// The fields that all records have, encoded.
    common: Vec<u8>,
}

impl Journal {
    pub(super) fn open(path: &Path, fields: &BTreeMap<String, String>) -> io::Result<Self> {
        let mut common = Vec::new();
        for (name, value) in fields {
            field(&mut common, name, value.as_bytes());
        }
        Ok(Self { socket: UnixDatagram::unbound()?, path: path.to_owned(), common })
    }

    /// Sends a line, or a part of one that is not its last.
    pub(super) fn record(
        &mut self,
        line: &[u8],
        channel: Channel,
        time: Timestamp,
        is_part: bool,
    ) -> io::Result<()> {
        let mut datagram = self.common.clone();
        // LOG_INFO and LOG_ERR of syslog(3).
        let priority = match channel {
            Channel::Stdout => "6",
            Channel::Stderr => "3",
        };
        field(&mut datagram, "PRIORITY", priority.as_bytes());
        field(&mut datagram, "SYSLOG_TIMESTAMP", time.to_string().as_bytes());
        if is_part {
            field(&mut datagram, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        field(&mut datagram, "MESSAGE", line.strip_suffix(b"\n").unwrap_or(line));
        // Not connected: a journal that is restarted has another socket under the same name.
        self.socket.send_to(&datagram, &self.path).map(|_| ())
    }
}

/// Writes a field; one of several lines has its length before it.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_datagrams_of_fields() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let server = UnixDatagram::bind(&path).unwrap();
        let fields = BTreeMap::from([("CONTAINER_NAME".to_owned(), "we\nb".to_owned())]);
        let mut journal = Journal::open(&path, &fields).unwrap();
        let time = "2026-01-02T03:04:05Z".parse().unwrap();
        journal.record(b"hello\n", Channel::Stderr, time, false).unwrap();
        journal.record(b"part", Channel::Stdout, time, true).unwrap();
        let mut buffer = [0; 1024];
        let length = server.recv(&mut buffer).unwrap();
        assert_eq!(
            &buffer[..length],
            b"CONTAINER_NAME\n\x04\0\0\0\0\0\0\0we\nb\nPRIORITY=3\n\
              SYSLOG_TIMESTAMP=2026-01-02T03:04:05Z\nMESSAGE=hello\n"
        );
        let length = server.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(text.ends_with("CONTAINER_PARTIAL_MESSAGE=true\nMESSAGE=part\n"), "{text}");
    }
}
