//! What a container has open of the host's directories, in a checkpoint.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use hull_share::{Deleted, Record, Resting, ServeError, Server, Share};
use hull_template::sparse;

use crate::control::{Failure, FailureCode};
use crate::wire::invalid;

use super::context::chain;

/// Writes it to `dir`; what has no name any more with its content.
pub(super) fn save(resting: &Resting<'_>, dir: &Path) -> Result<(), Failure> {
    let (record, deleted) = resting.record().map_err(|error| failed(&error))?;
    let mut left = MOST_DELETED;
    for file in &deleted {
        let size = file.size.unwrap_or(0);
        left = left.checked_sub(size).ok_or_else(|| too_large(file))?;
    }
    for (number, file) in deleted.iter().enumerate().filter(|(_, file)| file.size.is_some()) {
        let from = format!("/proc/self/fd/{}", file.file.as_raw_fd());
        let copied = sparse::copy(Path::new(&from), &content(dir, number));
        copied.map_err(|error| {
            let name = file.name.display();
            failure(format!("cannot copy the deleted file `{name}`, which is open: {error}"))
        })?;
    }
    let kinds = deleted.iter().map(|file| file.size.is_some()).collect();
    let json = serde_json::to_vec(&Kept { record, files: kinds }).map_err(invalid);
    json.and_then(|json| fs::write(dir.join(NAME), json)).map_err(|error| failed(&error))
}

/// Has `server` go on with what is in the checkpoint `dir`; what has no name gets its blocks in
/// `scratch`. Returns the open files that have gone.
pub(super) fn restore(
    server: &Server,
    shares: &[Share],
    dir: &Path,
    scratch: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    let read = || serde_json::from_slice(&fs::read(dir.join(NAME))?).map_err(invalid);
    let Kept { record, files }: Kept = read().map_err(|error: io::Error| failed(&error))?;
    let deleted = files.iter().enumerate().map(|(number, is_file)| match is_file {
        true => unnamed(&content(dir, number), &scratch.join("deleted")),
        false => unnamed_directory(&scratch.join("deleted")),
    });
    let deleted: Vec<OwnedFd> =
        deleted.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    server.restore_record(shares, &record, &deleted).map_err(|error| refused(&error))
}

/// What is written.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
struct Kept {
    record: Record,
    /// What is kept of what has no name: whether it is a file, not a directory.
    files: Vec<bool>,
}

fn content(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("deleted-{number}"))
}

/// Returns a copy of `content` that has no name; `path` is its name before.
fn unnamed(content: &Path, path: &Path) -> io::Result<OwnedFd> {
    super::remove(path)?;
    sparse::copy(content, path)?;
    let file = File::options().read(true).write(true).open(path);
    fs::remove_file(path)?;
    Ok(file?.into())
}

fn unnamed_directory(path: &Path) -> io::Result<OwnedFd> {
    super::remove(path)?;
    fs::create_dir(path)?;
    let directory = File::open(path);
    fs::remove_dir(path)?;
    Ok(directory?.into())
}

fn refused(error: &ServeError) -> Failure {
    match error {
        ServeError::Open { .. }
        | ServeError::Changed { .. }
        | ServeError::Locked(_)
        | ServeError::Others => {
            let message = format!("cannot start from the checkpoint: {}", chain(error));
            Failure::new(FailureCode::Invalid, message)
        }
        error => failed(error),
    }
}

fn too_large(file: &Deleted) -> Failure {
    Failure {
        code: FailureCode::Invalid,
        message: format!(
            "`{}` has been deleted and is still open, and is too large to be kept in a checkpoint \
             (all such files: {} MiB at most)",
            file.name.display(),
            MOST_DELETED >> 20
        ),
        hint: Some("have the container close it, or fork the container".to_owned()),
    }
}

fn failed(error: &dyn std::error::Error) -> Failure {
    failure(format!("volumes and bind mounts: {}", chain(error)))
}

fn failure(message: String) -> Failure {
    Failure::new(FailureCode::Failed, message)
}

/// The file's name in a checkpoint.
const NAME: &str = "shares.json";
/// Bytes of files without a name that are kept; the container stands still while they are copied.
const MOST_DELETED: u64 = 256 << 20;
