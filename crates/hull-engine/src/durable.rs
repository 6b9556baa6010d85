//! Files that are either the old or the new, whatever happens.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Whether a file must survive a power cut, or a killed process only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Survives {
    Kill,
    PowerCut,
}

/// Writes a file that nobody reads before it is renamed, mode 0600.
pub(crate) fn write(path: &Path, content: &[u8], survives: Survives) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    if survives == Survives::PowerCut {
        file.sync_all()?;
    }
    Ok(())
}

/// Replaces a file atomically, mode 0600.
pub(crate) fn replace(path: &Path, content: &[u8], survives: Survives) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    write(temporary, content, survives)?;
    fs::rename(temporary, path)?;
    match (survives, path.parent()) {
        (Survives::PowerCut, Some(directory)) => sync_directory(directory),
        _ => Ok(()),
    }
}

/// Makes renames in a directory survive a power cut.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_leaves_one_private_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        replace(&path, b"one", Survives::Kill).unwrap();
        replace(&path, b"two", Survives::PowerCut).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
