//! `hull cp`.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::TryStreamExt as _;
use http::{Method, Response, header};
use http_body_util::{BodyExt as _, StreamBody};
use hull_format::human_size;
use hyper::body::{Frame, Incoming};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio_util::io::{InspectReader, ReaderStream, SyncIoBridge};

use super::{Command, Invocation, archive};
use crate::client::{Client, ClientError, body, encode, request};
use crate::copy::{self, Place, Plan};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "cp",
    arguments: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\
                \thull cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    about: "Copy files/folders between a container and the local filesystem\n\n\
            Use '-' as the source to read a tar archive from stdin\n\
            and extract it to a directory destination in a container.\n\
            Use '-' as the destination to stream a tar archive of a\n\
            container source to stdout.",
    aliases: &["container cp", "cp"],
    run,
};

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    archive: bool,
    follow: bool,
    quiet: bool,
}

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let Options { mut archive, mut follow, mut quiet } = Options::default();
    let mut flags = invocation.flags();
    flags.both(&mut archive, 'a', "archive", "Archive mode (copy all uid/gid information)");
    flags.both(&mut follow, 'L', "follow-link", "Always follow symbol link in SRC_PATH");
    flags.both(
        &mut quiet,
        'q',
        "quiet",
        "Suppress progress output during copy. Progress output is automatically suppressed if no \
         terminal is attached",
    );
    let operands = flags.parse(arguments, Arity::Exactly(2))?;
    for (operand, name) in operands.iter().zip(["source", "destination"]) {
        if operand.is_empty() {
            return Err(Failure::new(format!("{name} can not be empty")));
        }
    }
    // As the help says.
    quiet |= !std::io::stdout().is_terminal();
    let options = Options { archive, follow, quiet };
    let (source, target) = (end(&operands[0]), end(&operands[1]));
    invocation.wait_for(async {
        let client = invocation.client();
        match (source, target) {
            ((Some(container), path), (None, target)) => {
                copy_out(&client, container, path, target, options).await
            }
            ((None, source), (Some(container), path)) => {
                copy_in(&client, source, container, path, options).await
            }
            ((Some(_), _), (Some(_), _)) => {
                Err(Failure::new("copying between containers is not supported"))
            }
            ((None, _), (None, _)) => {
                Err(Failure::new("must specify at least one container source"))
            }
        }
    })
}

/// Splits `CONTAINER:PATH`; a path that is absolute or begins with a dot is local.
fn end(operand: &str) -> (Option<&str>, &str) {
    match operand.split_once(':') {
        Some((container, path)) if !operand.starts_with(['/', '.']) => {
            // An empty name is for the daemon to refuse.
            (Some(container).filter(|name| !name.is_empty()), path)
        }
        _ => (None, operand),
    }
}

async fn copy_out(
    client: &Client<'_>,
    container: &str,
    path: &str,
    target: &str,
    options: Options,
) -> Result<(), Failure> {
    let target = match target {
        "-" => target.to_owned(),
        target => copy::local(target)?,
    };
    archive::check_path(&target)?;
    let mut source = Place { path: path.to_owned(), exists: true, ..Place::default() };
    if options.follow
        && let Ok(stat) = stat(client, container, path).await
        && stat.is_symlink()
    {
        let link = copy::join_link(path, &stat.link_target);
        (source.path, source.rebase) = copy::rebase_name(path, &link);
    }
    let response = client.send(Method::GET, &query(container, &source.path), None).await?;
    source.is_dir = Stat::of(&response)?.is_dir();
    let read = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&read);
    let mut bytes = InspectReader::new(body(response), move |bytes| {
        counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    });
    if target == "-" {
        let mut stdout = tokio::io::stdout();
        tokio::io::copy(&mut bytes, &mut stdout).await?;
        return Ok(stdout.flush().await?);
    }
    let Plan { dir, root } = Plan::new(&source, &copy::destination(&target)?)?;
    let bridge = SyncIoBridge::new(Box::pin(bytes));
    let extracted = tokio::task::spawn_blocking(move || copy::extract(bridge, &dir, &root)).await;
    let extracted = extracted.map_err(|error| Failure::new(error.to_string()))?;
    if !options.quiet {
        tell(&read, &target);
    }
    extracted.map_err(|error| Failure::new(output::chain(&error)))
}

async fn copy_in(
    client: &Client<'_>,
    source: &str,
    container: &str,
    path: &str,
    options: Options,
) -> Result<(), Failure> {
    let place = match source {
        "-" => None,
        source => Some(copy::local(source)?),
    };
    let mut target = Place { path: path.to_owned(), ..Place::default() };
    let mut found = stat(client, container, path).await;
    if let Ok(link) = &found
        && link.is_symlink()
    {
        target.path = copy::join_link(path, &link.link_target);
        found = stat(client, container, &target.path).await;
    }
    // A target that is not there may be made; an answer that is no answer says so below.
    if let Ok(found) = found {
        if found.is_device() {
            return Err(Failure::new(format!(
                "destination \"{container}:{path}\" must be a directory or a regular file: \
                 got a device"
            )));
        }
        (target.exists, target.is_dir) = (true, found.is_dir());
    }
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let count = move |bytes: &[u8]| {
        counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    };
    let dir = match place {
        None => {
            if !target.is_dir {
                return Err(Failure::new(format!(
                    "destination \"{container}:{path}\" must be a directory"
                )));
            }
            let archive = InspectReader::new(tokio::io::stdin(), count);
            put(client, container, &target.path, archive, options).await?;
            target.path
        }
        Some(place) => {
            let source = copy::source(&place, options.follow)?;
            let Plan { dir, root } = Plan::new(&source, &target)?;
            let (writer, reader) = tokio::io::duplex(CHUNK);
            let writer = SyncIoBridge::new(writer);
            let packing = tokio::task::spawn_blocking(move || {
                copy::pack(Path::new(&source.path), &root.to, writer)
            });
            put(client, container, &dir, InspectReader::new(reader, count), options).await?;
            // The container has taken all that it was sent.
            packing.await.map_err(|error| Failure::new(error.to_string()))??;
            path.to_owned()
        }
    };
    if !options.quiet {
        tell(&sent, &format!("{container}:{dir}"));
    }
    Ok(())
}

/// Sends an archive to be extracted in a directory of a container.
async fn put(
    client: &Client<'_>,
    container: &str,
    dir: &str,
    archive: impl AsyncRead + Send + 'static,
    options: Options,
) -> Result<(), Failure> {
    let path = format!(
        "{}&noOverwriteDirNonDir=true{}",
        query(container, dir),
        if options.archive { "&copyUIDGID=true" } else { "" }
    );
    let body = StreamBody::new(ReaderStream::with_capacity(archive, CHUNK).map_ok(Frame::data));
    let request = request(Method::PUT, &path)
        .header(header::CONTENT_TYPE, "application/x-tar")
        .body(body.boxed_unsync())
        .map_err(ClientError::Request)?;
    client.exchange(request).await?;
    Ok(())
}

/// What is at a path of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stat {
    /// Go's `os.FileMode`.
    mode: u32,
    link_target: String,
}

impl Stat {
    /// Reads the header of an answer.
    fn of(response: &Response<Incoming>) -> Result<Self, Failure> {
        let header = response.headers().get("X-Docker-Container-Path-Stat");
        let json = header.and_then(|header| BASE64_STANDARD.decode(header).ok());
        json.and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| Failure::new("unable to decode container path stat header"))
    }

    fn is_dir(&self) -> bool {
        self.mode & 1 << 31 != 0
    }

    fn is_symlink(&self) -> bool {
        self.mode & 1 << 27 != 0
    }

    fn is_device(&self) -> bool {
        self.mode & 1 << 26 != 0
    }
}

async fn stat(client: &Client<'_>, container: &str, path: &str) -> Result<Stat, Failure> {
    Stat::of(&client.send(Method::HEAD, &query(container, path), None).await?)
}

fn query(container: &str, path: &str) -> String {
    format!("/containers/{}/archive?path={}", encode(container), encode(path))
}

/// Tells how much was copied, as docker's client does where nobody compares it.
fn tell(bytes: &AtomicU64, target: &str) {
    let size = human_size(bytes.load(Ordering::Relaxed));
    output::error(&format!("Successfully copied {size} to {target}"));
}

const CHUNK: usize = 256 << 10;
