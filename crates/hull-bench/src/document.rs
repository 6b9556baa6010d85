//! The JSON file of one run.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::options::Options;
use crate::report::Report;

/// Changes when figures can no longer be compared with those of earlier files.
const FORMAT: u32 = 1;

/// Everything that one run found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Document {
    format: u32,
    /// Seconds since 1970 when the run began.
    time: u64,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) host: Host,
    pub(crate) cases: Vec<Report>,
}

/// What absolute figures depend on.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Host {
    pub(crate) cores: usize,
    pub(crate) kernel: String,
}

impl Document {
    pub(crate) fn new(options: &Options) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let host = Host {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        };
        let (rounds, quick) = (options.rounds, options.quick);
        Self { format: FORMAT, time, rounds, quick, host, cases: Vec::new() }
    }

    /// Reads what an earlier run wrote.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Header {
            format: u32,
        }
        let text = fs::read_to_string(path).map_err(Failure::file("read", path))?;
        let wrong = |source| Failure::Document { path: path.to_owned(), source };
        let Header { format: found } = serde_json::from_str(&text).map_err(wrong)?;
        if found != FORMAT {
            return Err(Failure::Format { path: path.to_owned(), found, expected: FORMAT });
        }
        serde_json::from_str(&text).map_err(wrong)
    }
}

/// A file that appears when the run has come to its end.
#[derive(Debug)]
pub(crate) struct Target {
    path: PathBuf,
    file: NamedTempFile,
}

impl Target {
    /// Finds out whether `path` can be written; an earlier file stays until [`Target::write`].
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let failed = Failure::file("write", path);
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(std::io::ErrorKind::IsADirectory.into()),
            _ => {
                use std::os::unix::fs::PermissionsExt as _;
                let mut builder = tempfile::Builder::new();
                builder.permissions(fs::Permissions::from_mode(0o644));
                builder.tempfile_in(parent.unwrap_or(Path::new(".")))
            }
        };
        Ok(Self { path: path.to_owned(), file: file.map_err(failed)? })
    }

    pub(crate) fn write(mut self, document: &Document) -> Result<(), Failure> {
        let path = &self.path;
        let text = serde_json::to_string_pretty(document)
            .map_err(|source| Failure::Document { path: path.clone(), source })?;
        writeln!(self.file, "{text}").map_err(Failure::file("write", path))?;
        let persisted = self.file.persist(path).map_err(|error| error.error);
        persisted.map(drop).map_err(Failure::file("write", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Asked;
    use crate::report::{Figure, Target as Most, Unit};
    use crate::sample::Sample;

    #[test]
    fn what_is_written_can_be_read() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("result.json");
        let Ok(Asked::Measure(options)) = Options::parse(["--quick".to_owned()].into_iter()) else {
            panic!("the arguments are right");
        };
        let mut document = Document::new(&options);
        let mut report = Report::new("start");
        report.samples.push(Sample { name: "a".into(), milliseconds: vec![1.5] });
        report.figures.push(Figure::new("a / b", 0.5, Unit::Ratio, Most::at_most(1.0)));
        report.figures.push(Figure::new("c", 7.0, Unit::Mebibytes, Most::NONE));
        report.skip("c", "d");
        document.cases.push(report);
        Target::new(&path).and_then(|target| target.write(&document)).expect("it is written");
        assert_eq!(Document::read(&path).expect("it is read"), document);
        assert_eq!(fs::read_dir(dir.path()).expect("the dir").count(), 1);
    }

    #[test]
    fn other_files_are_refused() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("x");
        let read = || Document::read(&path).expect_err("it is refused");
        assert!(matches!(read(), Failure::File { verb: "read", .. }));
        fs::write(&path, "{\"rounds\": 15, \"cases\": {}}").expect("x");
        assert!(matches!(read(), Failure::Document { .. }));
        fs::write(&path, "{\"format\": 99}").expect("x");
        assert!(matches!(read(), Failure::Format { found: 99, .. }));
        for path in [dir.path(), &dir.path().join("missing/y")] {
            let error = Target::new(path).expect_err("it cannot be written");
            assert!(matches!(error, Failure::File { verb: "write", .. }), "{error}");
        }
    }
}
