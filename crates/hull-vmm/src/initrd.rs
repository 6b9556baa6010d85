//! The initial file system: a cpio archive that holds the guest agent as `/init`.
//!
//! Format: "newc" of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Reads the agent at `path` and returns the initial file system with it.
///
/// # Errors
/// [`InitrdError`].
pub fn build(path: &Path) -> Result<Vec<u8>, InitrdError> {
    let fail = |source| InitrdError::Read { path: path.to_owned(), source };
    let agent = std::fs::read(path).map_err(fail)?;
    if u32::try_from(agent.len()).is_err() {
        return Err(InitrdError::TooLarge(path.to_owned()));
    }
    let mut archive = Archive::new(Vec::with_capacity(agent.len() + 1024));
    archive.entry("dev", DIRECTORY | 0o755, 0, &[]).map_err(fail)?;
    // The kernel opens it as the agent's standard streams.
    archive.entry("dev/console", CHARACTER_DEVICE | 0o600, CONSOLE, &[]).map_err(fail)?;
    archive.entry("init", REGULAR | 0o755, 0, &agent).map_err(fail)?;
    archive.finish().map_err(fail)
}

/// Why no initial file system could be made.
#[derive(Debug, Error)]
pub enum InitrdError {
    #[error("cannot read the guest agent `{}`", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the guest agent `{}` is too large", .0.display())]
    TooLarge(PathBuf),
}

struct Archive<W> {
    out: W,
    written: usize,
    inode: u32,
}

impl<W: Write> Archive<W> {
    fn new(out: W) -> Self {
        Self { out, written: 0, inode: 0 }
    }

    /// Adds an entry; `device` is major and minor of a device node, of which `(0, 0)` is none.
    fn entry(&mut self, name: &str, mode: u32, device: u32, content: &[u8]) -> io::Result<()> {
        self.inode += 1;
        let fields = [
            self.inode,
            mode,
            0, // uid
            0, // gid
            if mode & FORMAT == DIRECTORY { 2 } else { 1 },
            0, // mtime: the same agent gives the same archive
            content.len() as u32,
            0, // device of the file system, major
            0, // minor
            device >> 8,
            device & 0xff,
            name.len() as u32 + 1,
            0, // checksum, unused in this variant
        ];
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        header.push_str(name);
        header.push('\0');
        self.write(header.as_bytes())?;
        self.pad()?;
        self.write(content)?;
        self.pad()
    }

    fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.entry("TRAILER!!!", 0, 0, &[])?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len();
        self.out.write_all(bytes)
    }

    fn pad(&mut self) -> io::Result<()> {
        let padding = self.written.wrapping_neg() % 4;
        self.write(&[0; 3][..padding])
    }
}

const FORMAT: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const REGULAR: u32 = 0o100_000;
/// Device number of `/dev/console`: 5, 1.
const CONSOLE: u32 = 5 << 8 | 1;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn archive() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let agent = dir.path().join("agent");
        std::fs::write(&agent, "#!agent").unwrap();
        build(&agent).unwrap()
    }

    #[test]
    fn entries_stand_at_multiples_of_four() {
        let archive = archive();
        assert_eq!(archive.len() % 4, 0);
        let text = String::from_utf8(archive).unwrap();
        let starts: Vec<_> = text.match_indices("070701").map(|(at, _)| at % 4).collect();
        assert_eq!(starts, [0; 4]);
        assert!(text.contains("init\0"));
        assert!(text.contains("#!agent"));
    }

    #[test]
    fn cpio_lists_the_archive() {
        let Ok(mut cpio) = Command::new("cpio")
            .args(["-itv", "--quiet", "--numeric-uid-gid"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            return println!("skipped: cpio is not installed");
        };
        cpio.stdin.take().unwrap().write_all(&archive()).unwrap();
        let listing = String::from_utf8(cpio.wait_with_output().unwrap().stdout).unwrap();
        let lines: Vec<_> = listing.lines().collect();
        assert!(lines[0].starts_with("drwxr-xr-x"), "{listing}");
        assert!(lines[1].starts_with("crw-------"), "{listing}");
        assert!(lines[1].contains("5,   1"), "{listing}");
        assert!(lines[2].starts_with("-rwxr-xr-x"), "{listing}");
    }

    #[test]
    fn a_missing_agent_is_named() {
        let error = build(Path::new("/nonexistent/agent")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/agent"));
    }
}
