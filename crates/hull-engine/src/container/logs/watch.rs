//! Says when a log has changed.

use std::io;
use std::path::Path;

/// Changes of a file and of its name. May say so too often, never too seldom.
#[derive(Debug)]
pub(super) struct Watch {
    #[cfg(target_os = "linux")]
    inotify: tokio::net::unix::pipe::Receiver,
}

#[cfg(target_os = "linux")]
impl Watch {
    /// Watches the directory of `path`: the file may not exist yet, and is renamed by rotation.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        use rustix::fs::inotify;
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let descriptor = inotify::init(flags)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        let events = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVE_SELF
            | inotify::WatchFlags::DELETE_SELF;
        inotify::add_watch(&descriptor, directory, events)?;
        // Not a pipe, but read like one.
        let inotify = tokio::net::unix::pipe::Receiver::from_owned_fd_unchecked(descriptor)?;
        Ok(Self { inotify })
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&mut self) {
        // What has changed does not matter, only that the queue is empty again.
        let mut buffer = [0; 4096];
        loop {
            if self.inotify.readable().await.is_err() {
                return tokio::time::sleep(POLL).await;
            }
            match self.inotify.try_read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) => return,
                Err(_) => return tokio::time::sleep(POLL).await,
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Watch {
    pub(super) fn new(_: &Path) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&mut self) {
        tokio::time::sleep(POLL).await;
    }
}

/// Where changes are not told, files are looked at so often.
const POLL: std::time::Duration = std::time::Duration::from_millis(100);
