//! The daemon's socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hull_socket::Address;
use tokio::net::UnixListener;

/// Why the socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    #[error("cannot make the socket {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a socket: will not replace it", .0.display())]
    NoSocket(PathBuf),
}

/// Makes the socket `path`, for its owner only, in place of one that a dead daemon left.
///
/// The caller holds the lock that says that no other daemon uses it. The socket appears under its
/// name only when it listens and its mode is 0600: nobody can connect before.
///
/// # Errors
/// Something else than a socket is there, or the directory is not writable. (A path that is longer
/// than an address may be is none on Linux.)
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NoSocket(path.to_owned()));
        }
        _ => {}
    }
    let staged = path.with_extension(format!("{}", std::process::id()));
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let address = Address::of(&staged).map_err(failed)?;
    let listener = UnixListener::bind(address.path()).map_err(failed)?;
    let published = fs::set_permissions(&staged, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&staged, path));
    if let Err(error) = published {
        let _ = fs::remove_file(&staged);
        return Err(failed(error));
    }
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replaces_a_stale_socket_but_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hull.sock");
        drop(bind(&path).unwrap());
        let _listener = bind(&path).unwrap();
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let file = dir.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert!(matches!(bind(&file), Err(BindError::NoSocket(_))));
        assert_eq!(fs::read(&file).unwrap(), b"kept");
    }

    #[tokio::test]
    async fn long_paths_are_reached_another_way() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("x".repeat(120));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("hull.sock");
        let _listener = bind(&path).unwrap();
        let address = Address::of(&path).unwrap();
        std::os::unix::net::UnixStream::connect(address.path()).unwrap();
    }
}
