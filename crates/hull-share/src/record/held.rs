//! Locks that an open file has, as the kernel tells them.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::{Errno, Result};

/// Locks of one open file.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Held {
    /// On the whole file (flock(2)); `true`: exclusively.
    pub(super) whole: Option<bool>,
    /// On ranges: whether exclusively, first byte, and how many; 0 reaches to the end.
    pub(super) ranges: Vec<(bool, u64, u64)>,
}

impl Held {
    /// Returns those of an open file of this process.
    pub(super) fn of(file: BorrowedFd<'_>) -> Result<Self> {
        let path = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
        let text = std::fs::read_to_string(path);
        let failed = |error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Self::parse(&text.map_err(failed)?).ok_or(Errno::IO)
    }

    /// Reads what fdinfo (proc_pid_fdinfo(5)) says in the form of proc_locks(5).
    fn parse(text: &str) -> Option<Self> {
        let mut held = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("lock:")) {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [_, kind, _, access, _, _, first, last] = *fields else {
                return None;
            };
            let exclusive = access == "WRITE";
            match kind {
                "FLOCK" => held.whole = Some(exclusive),
                "OFDLCK" => {
                    let first: u64 = first.parse().ok()?;
                    let length = match last {
                        "EOF" => 0,
                        last => last.parse::<u64>().ok()?.checked_sub(first)? + 1,
                    };
                    held.ranges.push((exclusive, first, length));
                }
                // A lease, which no server takes.
                _ => {}
            }
        }
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, OwnedFd};

    use rustix::fs::{FlockOperation, flock};

    use super::*;
    use crate::raw::{self, Range};

    #[test]
    fn the_kernel_tells_whose_locks_are_whose() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let open = || -> OwnedFd {
            std::fs::File::options().read(true).write(true).open(named.path()).unwrap().into()
        };
        let (one, other) = (open(), open());
        let write = |start, length| Range { kind: libc::F_WRLCK as u32, start, length };
        raw::lock(&one, write(5, 10)).unwrap();
        raw::lock(&one, Range { kind: libc::F_RDLCK as u32, ..write(100, 0) }).unwrap();
        raw::lock(&other, write(20, 1)).unwrap();
        flock(&other, FlockOperation::LockShared).unwrap();
        let held = Held::of(one.as_fd()).unwrap();
        assert_eq!(held, Held { whole: None, ranges: vec![(true, 5, 10), (false, 100, 0)] });
        let held = Held::of(other.as_fd()).unwrap();
        assert_eq!(held, Held { whole: Some(false), ranges: vec![(true, 20, 1)] });
        assert_eq!(Held::of(open().as_fd()).unwrap(), Held::default());
    }
}
