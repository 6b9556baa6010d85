//! Files into and out of containers: `docker cp` and `docker export`.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hull_protocol::Part;
use hull_supervisor::client::{self, ClientError};
use hull_supervisor::control::CopyIn;
use hull_supervisor::{Failure, FailureCode};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::entry::Container;
use super::visit::Inside;
use super::wait::WaitCondition;
use crate::archive::plain;
use crate::isolation::Task;
use crate::{Engine, Error, Result};

/// What is at a path of a container; the last component is not followed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PathStat {
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// `st_mode` as on Linux.
    pub mode: u32,
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Where a symbolic link leads, with all links followed; empty for all else.
    pub link_target: String,
}

/// How an archive is extracted.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyInOptions {
    /// Refuse to replace a directory by something else and the other way round.
    pub no_overwrite_dir_non_dir: bool,
    /// All will be the container's user's, not whose the archive says.
    pub copy_uid_gid: bool,
}

/// Files of a container on their way out.
#[derive(Debug)]
pub struct FileStream {
    copy: client::CopyOut,
    /// Keeps what is read from where it is.
    inside: Inside,
}

impl FileStream {
    /// Returns the next piece, `None` when it is whole.
    ///
    /// # Errors
    /// Not all could be read: what came before is not whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let read = self.copy.next().await;
        read.map_err(|error| failed(self.inside.container(), "", error))
    }
}

impl Engine {
    /// Describes a path of a container.
    ///
    /// # Errors
    /// No such container or path.
    pub async fn stat_path(&self, container: &str, path: &str) -> Result<PathStat> {
        let container = self.inner.containers.find(container)?;
        let (_, stat) = self.stat_inside(&container, path).await?;
        Ok(stat)
    }

    /// Reads a path of a container as a tar archive, whose names begin with the path's last
    /// component. The last component is not followed.
    ///
    /// # Errors
    /// No such container or path.
    pub async fn copy_out(&self, container: &str, path: &str) -> Result<(PathStat, FileStream)> {
        let container = self.inner.containers.find(container)?;
        let (inside, stat) = self.stat_inside(&container, path).await?;
        drop(inside);
        let stream = self.read(&container, Part::Path(absolute(path)), path).await?;
        Ok((stat, stream))
    }

    /// Extracts a tar archive, plain or compressed, into a directory of a container.
    ///
    /// # Errors
    /// No such container or directory, or the archive cannot be extracted.
    pub async fn copy_in(
        &self,
        container: &str,
        path: &str,
        options: CopyInOptions,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<()> {
        let container = self.inner.containers.find(container)?;
        let user = container.record().config.user.clone();
        let wanted = CopyIn {
            path: absolute(path),
            no_overwrite_dir_non_dir: options.no_overwrite_dir_non_dir,
            owner: Some(user).filter(|user| options.copy_uid_gid && !user.is_empty()),
        };
        let fail = |error| failed(&container, path, error);
        let begin = move |task: Arc<dyn Task>| {
            let wanted = wanted.clone();
            async move { task.copy_in(wanted).await }.boxed()
        };
        let (inside, mut copy) = self.ask_inside(&container, path, begin).await?;
        let broken = |error| Error::internal("the archive did not come whole", error);
        let mut archive = plain(archive).await.map_err(broken)?;
        let mut piece = BytesMut::with_capacity(PIECE);
        while archive.read_buf(&mut piece).await.map_err(broken)? > 0 {
            if copy.write(&piece).await.is_err() {
                // The end says why.
                break;
            }
            piece.clear();
        }
        copy.finish().await.map_err(fail)?;
        if inside.is_visit() {
            // The machine ends without ceremony.
            inside.task().sync().await.map_err(fail)?;
        }
        Ok(())
    }

    /// Reads the root file system of a container as a tar archive, without what is mounted there.
    ///
    /// # Errors
    /// No such container.
    pub async fn export(&self, container: &str) -> Result<FileStream> {
        let container = self.inner.containers.find(container)?;
        let stream = self.read_part(&container, Part::Root).await?;
        self.tell(&container, "export", &[]);
        Ok(stream)
    }

    /// Reads a part of a container's files.
    pub(crate) async fn read_part(
        &self,
        container: &Arc<Container>,
        part: Part,
    ) -> Result<FileStream> {
        self.read(container, part, "").await
    }

    async fn read(&self, container: &Arc<Container>, part: Part, path: &str) -> Result<FileStream> {
        let begin = move |task: Arc<dyn Task>| {
            let part = part.clone();
            async move { task.copy_out(part).await }.boxed()
        };
        let (inside, copy) = self.ask_inside(container, path, begin).await?;
        Ok(FileStream { copy, inside })
    }

    async fn stat_inside(
        &self,
        container: &Arc<Container>,
        path: &str,
    ) -> Result<(Inside, PathStat)> {
        let cleaned = absolute(path);
        let ask = move |task: Arc<dyn Task>| {
            let path = cleaned.clone();
            async move { task.stat(&path).await }.boxed()
        };
        let (inside, stat) = self.ask_inside(container, path, ask).await?;
        let stat = PathStat {
            name: stat.name,
            size: stat.size,
            mode: stat.mode,
            mtime_ns: stat.mtime_ns,
            link_target: stat.link_target,
        };
        Ok((inside, stat))
    }

    /// Asks something of the machine that has a container's files; of another one if that has just
    /// ended.
    async fn ask_inside<T>(
        &self,
        container: &Arc<Container>,
        path: &str,
        ask: impl Fn(Arc<dyn Task>) -> BoxFuture<'static, Result<T, ClientError>> + Send + Sync,
    ) -> Result<(Inside, T)> {
        let inside = self.inside(container).await?;
        let error = match ask(inside.task()).await {
            Ok(answer) => return Ok((inside, answer)),
            Err(error) => error,
        };
        let is_ending = match &error {
            ClientError::Failed(failure) => failure.code == FailureCode::NotRunning,
            ClientError::Connect(_) | ClientError::Gone => true,
            _ => false,
        };
        if inside.is_visit() || !is_ending {
            return Err(failed(container, path, error));
        }
        drop(inside);
        self.waiter(container, WaitCondition::NotRunning).finished().await?;
        let inside = self.inside(container).await?;
        let answer = ask(inside.task()).await.map_err(|error| failed(container, path, error))?;
        Ok((inside, answer))
    }
}

/// Makes a path absolute and cleans it; a slash or dot at its end has a meaning and stays.
fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut cleaned = format!("/{}", parts.join("/"));
    if path.trim_end_matches('/').rsplit('/').next() == Some(".") {
        cleaned.push_str(if parts.is_empty() { "." } else { "/." });
    }
    if path.ends_with('/') && !cleaned.ends_with('/') {
        cleaned.push('/');
    }
    cleaned
}

/// Words a failure as dockerd does.
fn failed(container: &Container, path: &str, error: ClientError) -> Error {
    let read_only = container.record().config.host.readonly_rootfs;
    match error {
        ClientError::Failed(Failure { code: FailureCode::NotFound, .. }) if !path.is_empty() => {
            Error::NotFound(format!(
                "Could not find the file {path} in container {}",
                container.record().name
            ))
        }
        ClientError::Failed(Failure { message, .. })
            if read_only && message.contains("read-only file system") =>
        {
            Error::Forbidden("container rootfs is marked read-only".into())
        }
        ClientError::Failed(Failure { code: FailureCode::Invalid, message, .. }) => {
            Error::InvalidParameter(message)
        }
        error => Error::supervisor("cannot copy")(error),
    }
}

const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_but_keep_their_ends() {
        for (path, cleaned) in [
            ("etc/passwd", "/etc/passwd"),
            ("/a/../../b//c/", "/b/c/"),
            ("/a/.", "/a/."),
            ("a/./", "/a/./"),
            (".", "/."),
            ("/", "/"),
            ("..", "/"),
        ] {
            assert_eq!(absolute(path), cleaned, "{path}");
        }
    }
}
