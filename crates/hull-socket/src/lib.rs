//! Unix sockets: those whose path may be longer than `sun_path` (108 bytes, `unix(7)`), and
//! descriptors that are sent over them.

#![deny(unsafe_code)]

pub mod descriptors;

use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;

/// A path of a socket in `dir` that fits into an address, and what must live until the address
/// has been used.
#[derive(Debug)]
pub struct Address {
    path: PathBuf,
    _dir: Option<OwnedFd>,
}

impl Address {
    /// Returns the address of the socket `path`.
    ///
    /// # Errors
    /// As [`Address::new`].
    pub fn of(path: &Path) -> io::Result<Self> {
        match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
            (Some(dir), Some(name)) => Self::new(dir, name),
            _ => Ok(Self { path: path.to_owned(), _dir: None }),
        }
    }

    /// Returns the address of the socket `name` in `dir`.
    ///
    /// # Errors
    /// If the path is too long and there is no way round: the directory cannot be opened, or the
    /// system is not Linux.
    pub fn new(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        if path.as_os_str().len() < LONGEST {
            return Ok(Self { path, _dir: None });
        }
        Self::through_descriptor(dir, name)
    }

    /// Returns the path that fits, which means the socket for as long as this lives.
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(target_os = "linux")]
    fn through_descriptor(dir: &Path, name: &str) -> io::Result<Self> {
        use rustix::fd::AsRawFd;
        use rustix::fs::{Mode, OFlags, open};

        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open(dir, flags, Mode::empty())?;
        Ok(Self {
            path: format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()).into(),
            _dir: Some(dir),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn through_descriptor(dir: &Path, _name: &str) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{}` is too long for a socket; use a shorter home", dir.display()),
        ))
    }
}

/// Listens on `address`, mode 0600 from the first moment.
///
/// # Errors
/// As [`bind`]; listen(2).
pub fn listen(address: &Address) -> io::Result<tokio::net::UnixListener> {
    let socket = bind(address, 0o600)?;
    rustix::net::listen(&socket, 128)?;
    listener(socket)
}

/// Makes a socket for streams and binds it to `address`, with the permission bits `mode` (less the
/// process's mask) from the first moment.
///
/// # Errors
/// socket(2), bind(2).
pub fn bind(address: &Address, mode: u32) -> io::Result<OwnedFd> {
    use rustix::net::{SocketAddrUnix, bind};

    let socket = stream_socket()?;
    let mode = rustix::fs::Mode::from_raw_mode(mode as _);
    if cfg!(target_os = "linux") {
        // bind(2) gives the new inode the mode that the descriptor has (unix(7)).
        rustix::fs::fchmod(&socket, mode)?;
    }
    bind(&socket, &SocketAddrUnix::new(address.path())?)?;
    if cfg!(not(target_os = "linux")) {
        rustix::fs::chmod(address.path(), mode)?;
    }
    Ok(socket)
}

/// Returns `socket`, which listens, for tokio.
///
/// # Errors
/// fcntl(2).
pub fn listener(socket: OwnedFd) -> io::Result<tokio::net::UnixListener> {
    let listener = std::os::unix::net::UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

/// Connects to `address`, at once or not at all; what it returns does not block.
///
/// # Errors
/// socket(2), connect(2); `WouldBlock` if too many wait there to be accepted.
pub fn connect(address: &Address) -> io::Result<std::os::unix::net::UnixStream> {
    use rustix::net::{SocketAddrUnix, connect};

    let stream = std::os::unix::net::UnixStream::from(stream_socket()?);
    stream.set_nonblocking(true)?;
    connect(&stream, &SocketAddrUnix::new(address.path())?)?;
    Ok(stream)
}

/// Makes a socket that no program inherits, not even one that is started at this moment.
#[cfg(target_os = "linux")]
fn stream_socket() -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

    let flags = SocketFlags::CLOEXEC;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Makes a socket that no program inherits that is started later.
#[cfg(not(target_os = "linux"))]
fn stream_socket() -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, socket};

    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

/// What [`remove_stale`] has found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stale {
    Nothing,
    /// A socket that nobody listened on.
    Removed,
    /// A socket that somebody listens on, which is left alone.
    InUse,
    /// Something that is no socket, which is left alone.
    NoSocket,
}

/// Removes a socket whose owner has gone.
///
/// # Errors
/// lstat(2), connect(2) other than that nobody listens, unlink(2).
pub fn remove_stale(path: &Path) -> io::Result<Stale> {
    use std::os::unix::fs::FileTypeExt as _;

    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stale::Nothing),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => return Ok(Stale::NoSocket),
        Ok(_) => {}
    }
    match connect(&Address::of(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        // Its queue is full, or it is not for streams.
        Err(error)
            if error.kind() == io::ErrorKind::WouldBlock
                || error.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) =>
        {
            return Ok(Stale::InUse);
        }
        Ok(_) => return Ok(Stale::InUse),
        Err(error) => return Err(error),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stale::Nothing),
        removed => removed.map(|()| Stale::Removed),
    }
}

/// Bytes of `sun_path` with its terminating zero; 104 on macOS, 108 on Linux.
const LONGEST: usize = 104;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn sockets_work_in_long_directories_and_are_private() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("d".repeat(120));
        std::fs::create_dir(&dir).unwrap();
        let address = Address::new(&dir, "s").unwrap();
        let listener = listen(&address).unwrap();
        let mode = std::fs::metadata(dir.join("s")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Address::new(&dir, "s").unwrap();
        tokio::net::UnixStream::connect(again.path()).await.unwrap();
        listener.accept().await.unwrap();
        let waiting: Vec<_> = (0..200).map(|_| connect(&address)).collect();
        assert!(waiting[0].is_ok());
        let last = waiting[199].as_ref().map(drop).map_err(io::Error::kind);
        assert_eq!(last, Err(io::ErrorKind::WouldBlock));
        drop(listener);
        assert!(connect(&address).is_err());
    }

    #[test]
    fn only_what_nobody_listens_on_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("s");
        assert_eq!(remove_stale(&path).unwrap(), Stale::Nothing);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(remove_stale(&path).unwrap(), Stale::InUse);
        drop(listener);
        assert_eq!(remove_stale(&path).unwrap(), Stale::Removed);
        let datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert_eq!(remove_stale(&path).unwrap(), Stale::InUse);
        drop(datagrams);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(remove_stale(&path).unwrap(), Stale::NoSocket);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
