//! The file that records are appended to, and the older ones that rotation leaves.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use flate2::{Compression, GzBuilder};

use crate::launch::LogFileLaunch;

/// A file that is replaced when it has grown too large.
#[derive(Debug)]
pub(super) struct LogFile {
    launch: LogFileLaunch,
    file: File,
    size: u64,
    /// It ends within a record: a disk was full, or a supervisor was killed.
    torn: bool,
    compressing: Option<JoinHandle<()>>,
}

impl LogFile {
    /// Opens the file that is written now, to append.
    pub(super) fn open(launch: &LogFileLaunch) -> io::Result<Self> {
        let file = append(&launch.path)?;
        let size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        if launch.compress {
            // What an earlier supervisor did not finish; its original is still there.
            std::fs::remove_file(unfinished(&older(&launch.path, 1))).ok();
        }
        let torn = last != [b'\n'];
        Ok(Self { launch: launch.clone(), file, size, torn, compressing: None })
    }

    /// Appends whole records, each ending with a line feed.
    pub(super) fn write(&mut self, mut records: &[u8]) -> io::Result<()> {
        let Some(most) = self.launch.max_size else {
            return self.append(records);
        };
        while !records.is_empty() {
            if self.size >= most {
                self.rotate()?;
            }
            // The record that reaches the limit is the file's last, as with Docker.
            let mut end = 0;
            while end < records.len() && self.size + (end as u64) < most {
                let record = records[end..].iter().position(|byte| *byte == b'\n');
                end = record.map_or(records.len(), |length| end + length + 1);
            }
            self.append(&records[..end])?;
            records = &records[end..];
        }
        Ok(())
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let written = match self.torn {
            // Whatever is there of a record is a line of its own, which readers leave out.
            true => self.file.write_all(b"\n").and_then(|()| self.file.write_all(records)),
            false => self.file.write_all(records),
        };
        if let Err(error) = written {
            let size = self.file.metadata().map_or(self.size, |metadata| metadata.len());
            self.torn |= size != self.size;
            self.size = size;
            return Err(error);
        }
        self.size += records.len() as u64 + u64::from(self.torn);
        self.torn = false;
        Ok(())
    }

    /// Renames `log.1` to `log.2` and so on, as Docker names them, and begins a new file.
    fn rotate(&mut self) -> io::Result<()> {
        if let Some(thread) = self.compressing.take() {
            // It has said what went wrong.
            thread.join().ok();
        }
        let path = &self.launch.path;
        let kept = self.launch.max_file.saturating_sub(1);
        if kept == 0 {
            std::fs::remove_file(path)?;
        } else {
            for gone in [older(path, kept), compressed(&older(path, kept))] {
                absent_is_fine(std::fs::remove_file(gone))?;
            }
            for number in (1..kept).rev() {
                let (from, to) = (older(path, number), older(path, number + 1));
                absent_is_fine(std::fs::rename(&from, &to))?;
                absent_is_fine(std::fs::rename(compressed(&from), compressed(&to)))?;
            }
            std::fs::rename(path, older(path, 1))?;
            if self.launch.compress {
                let path = older(path, 1);
                let thread = std::thread::Builder::new().name("compress".into());
                self.compressing = Some(thread.spawn(move || compress_or_say(&path))?);
            }
        }
        self.file = append(&self.launch.path)?;
        self.size = 0;
        self.torn = false;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(path)
}

fn compress_or_say(path: &Path) {
    if let Err(error) = compress(path) {
        // Readers take it as it is.
        tracing::warn!(path = %path.display(), %error, "cannot compress a log");
        std::fs::remove_file(unfinished(path)).ok();
    }
}

/// Replaces a file by `<file>.gz`. One of them is there at any time. The comment in it says which
/// file it was (device and inode): whoever reads that one still, has to find it again.
fn compress(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let new = unfinished(path);
    let out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&new)?;
    let comment = format!("{}:{}", metadata.dev(), metadata.ino());
    let mut encoder =
        GzBuilder::new().comment(comment).write(BufWriter::new(out), Compression::fast());
    io::copy(&mut BufReader::new(file), &mut encoder)?;
    encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    std::fs::rename(&new, compressed(path))?;
    std::fs::remove_file(path)
}

fn older(path: &Path, number: u32) -> PathBuf {
    with_end(path, &format!(".{number}"))
}

fn compressed(path: &Path) -> PathBuf {
    with_end(path, ".gz")
}

fn unfinished(path: &Path) -> PathBuf {
    with_end(path, ".gz.new")
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(end);
    name.into()
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn launch(dir: &Path, max_size: u64, max_file: u32, compress: bool) -> LogFileLaunch {
        let max_size = Some(max_size);
        LogFileLaunch { path: dir.join("log"), max_size, max_file, compress }
    }

    #[test]
    fn each_record_counts() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(&launch(dir.path(), 10, 3, false)).unwrap();
        // Records of five bytes, all in one piece: two make a file.
        let records: String = (0..9).map(|number| format!("<{number}.>\n")).collect();
        log.write(records.as_bytes()).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("log"), "<8.>\n");
        assert_eq!((read("log.1"), read("log.2")), ("<6.>\n<7.>\n".into(), "<4.>\n<5.>\n".into()));
        assert!(!dir.path().join("log.3").exists());
    }

    #[test]
    fn older_files_are_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(&launch(dir.path(), 5, 3, true)).unwrap();
        let first = std::fs::metadata(dir.path().join("log")).unwrap();
        log.write(b"<0.>\n<1.>\n<2.>\n").unwrap();
        log.compressing.take().unwrap().join().unwrap();
        let read = |name: &str| {
            let mut text = String::new();
            let file = File::open(dir.path().join(name)).unwrap();
            let mut decoder = GzDecoder::new(file);
            decoder.read_to_string(&mut text).unwrap();
            let comment = decoder.header().unwrap().comment().unwrap();
            (text, String::from_utf8_lossy(comment).into_owned())
        };
        let names = std::fs::read_dir(dir.path()).unwrap();
        assert_eq!(names.count(), 3);
        assert_eq!(read("log.1.gz").0, "<1.>\n");
        let was = format!("{}:{}", first.dev(), first.ino());
        assert_eq!(read("log.2.gz"), ("<0.>\n".into(), was));
    }

    #[test]
    fn a_torn_record_stays_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), "whole\nto").unwrap();
        let mut log = LogFile::open(&launch(dir.path(), 100, 1, false)).unwrap();
        log.write(b"next\n").unwrap();
        log.write(b"last\n").unwrap();
        let text = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert_eq!(text, "whole\nto\nnext\nlast\n");
        assert_eq!(log.size, text.len() as u64);
    }

    #[test]
    fn a_full_disk_costs_what_did_not_fit() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(&launch(dir.path(), 1 << 20, 1, false)).unwrap();
        log.write(b"first\n").unwrap();
        // What a full disk does: part of the record is written, then an error.
        let full = File::options().write(true).open("/dev/full").unwrap();
        let disk = std::mem::replace(&mut log.file, full);
        assert!(log.write(b"lost\n").is_err());
        log.file = disk;
        log.file.write_all(b"lo").unwrap();
        log.torn = true;
        log.write(b"next\n").unwrap();
        let text = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert_eq!(text, "first\nlo\nnext\n");
    }
}
