//! The kernel's log, as it goes to the host: once.

use std::time::{Duration, Instant};

use hull_protocol::frame::MAX_EVENT;

use crate::sys;

/// What of the log is still to be sent, and when.
#[derive(Debug, Default)]
pub(crate) struct KernelLog {
    is_sent: bool,
    due: Option<Instant>,
    /// Last line of what is not to be sent.
    skipped: Option<Vec<u8>>,
}

impl KernelLog {
    /// Leaves out what has been logged so far: it belongs to a template, not to each of its forks,
    /// which send what comes after it.
    pub(crate) fn skip(&mut self) {
        self.is_sent = false;
        self.due = None;
        let log = sys::kernel_log();
        let last = log.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        self.skipped = Some(last.unwrap_or_default().to_owned());
    }

    pub(crate) fn is_skipped(&self) -> bool {
        self.skipped.is_some()
    }

    /// Makes it due in a second.
    pub(crate) fn send_soon(&mut self) {
        if !self.is_sent && self.due.is_none() {
            self.due = Some(Instant::now() + DELAY);
        }
    }

    /// Whether it is or will be due.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.is_sent && self.due.is_some()
    }

    pub(crate) fn is_due(&self) -> bool {
        !self.is_sent && self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Returns how many milliseconds are left until it is due.
    pub(crate) fn timeout(&self) -> Option<u32> {
        let due = self.due.filter(|_| !self.is_sent)?;
        let left = due.saturating_duration_since(Instant::now());
        Some(left.as_millis() as u32 + 1)
    }

    /// Returns the log in pieces that each fit into one event; nothing the second time.
    pub(crate) fn take(&mut self) -> Vec<String> {
        if std::mem::replace(&mut self.is_sent, true) {
            return Vec::new();
        }
        let log = sys::kernel_log();
        let new = match &self.skipped {
            Some(last) => newer(&log, last),
            None => &log,
        };
        pieces(new).collect()
    }
}

/// Returns the lines behind `last`, all if it is not there any more.
fn newer<'a>(log: &'a [u8], last: &[u8]) -> &'a [u8] {
    let mut end = log.len();
    for line in log.rsplit(|byte| *byte == b'\n') {
        if line == last {
            return log[end..].trim_ascii_start();
        }
        end = end.saturating_sub(line.len() + 1);
    }
    log
}

/// Cuts the log into texts that each fit into one event, whatever bytes are in it.
fn pieces(log: &[u8]) -> impl Iterator<Item = String> {
    log.chunks(PIECE).map(|piece| String::from_utf8_lossy(piece).into_owned())
}

/// One byte becomes at most six of JSON (`\u001b`).
const PIECE: usize = MAX_EVENT / 8;
/// Longer than a container needs to begin.
const DELAY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use hull_protocol::Event;

    #[test]
    fn no_piece_is_too_long_for_an_event() {
        for byte in [b'a', b'\n', 0x1b, 0xff] {
            let log = vec![byte; 64 << 10];
            let mut length = 0;
            for text in pieces(&log) {
                length += text.chars().count();
                let json = serde_json::to_vec(&Event::KernelLog { text }).unwrap();
                assert!(json.len() <= MAX_EVENT, "{byte}: {}", json.len());
            }
            assert_eq!(length, log.len());
        }
    }

    #[test]
    fn only_what_came_since_is_new() {
        let log = b"<6>[0.1] a\n<6>[0.2] b\n<6>[0.3] c\n";
        let newer = |last: &str| std::str::from_utf8(newer(log, last.as_bytes())).unwrap();
        assert_eq!(newer("<6>[0.2] b"), "<6>[0.3] c\n");
        assert_eq!(newer("<6>[0.3] c"), "");
        assert_eq!(newer("<6>[0.0] gone"), "<6>[0.1] a\n<6>[0.2] b\n<6>[0.3] c\n");
        assert_eq!(super::newer(b"", b"x"), b"");
    }
}
