//! The guest's console: into `boot.log`, bounded.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::paths;

/// The end of what the console has said, for error messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Arc<Mutex<Vec<u8>>>);

impl Tail {
    /// Returns the last line that the kernel or agent wrote, preferring what a panic is about.
    pub(super) fn last_line(&self) -> Option<String> {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<_> = text
            .lines()
            .map(|line| without_time(line).trim())
            .filter(|line| !line.is_empty())
            .collect();
        let panic = lines.iter().find(|line| line.starts_with("Kernel panic"));
        panic.or(lines.last()).map(|line| printable(line))
    }

    fn push(&self, bytes: &[u8]) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(bytes);
        let excess = tail.len().saturating_sub(TAIL);
        tail.drain(..excess);
    }
}

/// Opens `boot.log` anew for this boot.
pub(super) fn open(dir: &Path) -> io::Result<File> {
    let file = appender(dir)?;
    file.set_len(0)?;
    Ok(file)
}

/// Adds what the agent says about the boot, as long as there is room.
pub(super) fn append(dir: &Path, text: &str) {
    let written = appender(dir).and_then(|mut file| {
        let room = LARGEST.saturating_sub(file.metadata()?.len() as usize);
        file.write_all(&text.as_bytes()[..room.min(text.len())])
    });
    if let Err(error) = written {
        tracing::warn!(%error, "cannot write the boot log");
    }
}

/// Takes off what the kernel puts before each line for syslogd: `<6>`.
pub(super) fn without_priorities(text: &str) -> String {
    let strip = |line| {
        let marked = str::strip_prefix(line, '<').and_then(|rest| rest.split_once('>'));
        match marked {
            Some((digits, rest)) if digits.parse::<u8>().is_ok() => rest,
            _ => line,
        }
    };
    text.split_inclusive('\n').map(strip).collect()
}

/// All writers append: the console's and the agent's lines may come in any order.
fn appender(dir: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(dir.join(paths::BOOT_LOG))
}

/// Copies the console to `file` until it ends. A full disk or log stops the copy, never the guest.
pub(super) async fn keep(mut console: impl AsyncRead + Unpin, mut file: File, tail: Tail) {
    let mut buffer = [0; 2048];
    let mut left = LARGEST;
    loop {
        let read = match console.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        tail.push(&buffer[..read]);
        if left == 0 {
            continue;
        }
        let kept = read.min(left);
        left -= kept;
        if file.write_all(&buffer[..kept]).is_err() {
            left = 0;
        } else if left == 0 {
            let _ = file.write_all(b"\n[hull: the rest of the console is not kept]\n");
        }
    }
}

/// Takes the kernel's time stamp off a line.
fn without_time(line: &str) -> &str {
    match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, rest)) => rest,
        None => line,
    }
}

/// Takes out what could play with a terminal: the line comes from the guest.
fn printable(line: &str) -> String {
    line.chars().filter(|it| !it.is_control()).take(256).collect()
}

const LARGEST: usize = 1 << 20;
const TAIL: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_not_shown() {
        let text = "<6>[    0.1] a\n<12>b\nc <3>\n<x>d\n";
        assert_eq!(without_priorities(text), "[    0.1] a\nb\nc <3>\n<x>d\n");
    }

    #[tokio::test]
    async fn the_log_is_bounded_and_the_tail_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut noise = vec![b'n'; LARGEST + 5000];
        noise.extend_from_slice(b"\n[    1.5] \x1b[1mlast words\r\n\n");
        let tail = Tail::default();
        keep(noise.as_slice(), open(dir.path()).unwrap(), tail.clone()).await;
        let size = std::fs::metadata(dir.path().join(paths::BOOT_LOG)).unwrap().len();
        assert!((LARGEST as u64..LARGEST as u64 + 100).contains(&size));
        assert_eq!(tail.last_line().unwrap(), "[1mlast words");
    }

    #[test]
    fn a_panic_is_what_counts() {
        let tail = Tail::default();
        assert_eq!(tail.last_line(), None);
        tail.push(b"[    0.1] Kernel panic - not syncing: VFS\n[    0.2] CPU: 0 PID: 1\n");
        assert_eq!(tail.last_line().unwrap(), "Kernel panic - not syncing: VFS");
    }
}
