//! The end of a copy that is on this machine.

use std::fs;
use std::io;

use super::paths::{base, has_slash, join_link, rebase_name, split};
use crate::error::Failure;

/// What is at one end of a copy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) exists: bool,
    pub(crate) is_dir: bool,
    /// Name of the source's root in the archive, if not its last component.
    pub(crate) rebase: String,
}

/// Finds what is copied from this machine.
pub(crate) fn source(path: &str, follow: bool) -> Result<Place, Failure> {
    let canonical = |path: &str| -> Result<String, Failure> {
        match fs::canonicalize(path) {
            Ok(path) => Ok(path.to_string_lossy().into_owned()),
            Err(error) => Err(failed("lstat", path.trim_end_matches('/'), &error)),
        }
    };
    let (path, rebase) = if follow {
        rebase_name(path, &canonical(path)?)
    } else {
        let at = path.rfind('/').map_or(0, |at| at + 1);
        let (parent, name) = path.split_at(at);
        let resolved = format!("{}/{name}", canonical(parent)?.trim_end_matches('/'));
        let rebase = match has_slash(path) && base(path) != base(&resolved) {
            true => base(path).to_owned(),
            false => String::new(),
        };
        (resolved, rebase)
    };
    let stat = fs::symlink_metadata(&path).map_err(|error| failed("lstat", &path, &error))?;
    Ok(Place { exists: true, is_dir: stat.is_dir(), path, rebase })
}

/// Finds where on this machine something is copied to: links at its end are followed, also to
/// where nothing is, as long as the directory is there.
pub(crate) fn destination(path: &str) -> Result<Place, Failure> {
    const MOST_LINKS: u32 = 10;
    let mut place = path.to_owned();
    for _ in 0..=MOST_LINKS {
        let stat = match fs::symlink_metadata(&place) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (parent, _) = split(&place);
                let stat = fs::metadata(&parent);
                let stat = stat.map_err(|error| failed("stat", &parent, &error))?;
                if !stat.is_dir() {
                    return Err(Failure::new("not a directory"));
                }
                return Ok(Place { path: place, ..Place::default() });
            }
            Err(error) => return Err(failed("lstat", &place, &error)),
        };
        if !stat.is_symlink() {
            let is_dir = stat.is_dir();
            return Ok(Place { path: place, exists: true, is_dir, rebase: String::new() });
        }
        let target = fs::read_link(&place).map_err(|error| failed("readlink", &place, &error))?;
        place = join_link(&place, &target.to_string_lossy());
    }
    Err(Failure::new(format!("too many symlinks in {path}")))
}

/// An error as Go words it.
pub(super) fn failed(call: &str, path: &str, error: &io::Error) -> Failure {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default().to_ascii_lowercase();
    Failure::new(format!("{call} {path}: {text}"))
}
