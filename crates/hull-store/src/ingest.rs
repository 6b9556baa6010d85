//! A blob becomes a file and a converted layer, both while it streams in.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::Path;

use bytes::{Buf as _, Bytes};
use hull_registry::{Digest, Hasher};
use tempfile::NamedTempFile;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::home::{Home, publish_file, publish_path};
use crate::layer::{Failure, Fresh, Layer};
use crate::leases::{Lease, Leases};
use crate::{PullError, StoreError};

/// Bytes on their way to the thread that converts them.
#[derive(Debug)]
pub(crate) struct Ingest {
    sender: Sender<Message>,
    thread: JoinHandle<Result<(), PullError>>,
}

/// What a layer has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Digest of the blob.
    pub(crate) blob: Digest,
    /// Digest of the uncompressed tar.
    pub(crate) diff_id: Digest,
}

#[derive(Debug)]
enum Message {
    Bytes(Bytes),
    /// That was all, and the blob's digest is right.
    Verified,
}

impl Ingest {
    /// Starts the thread; it drops `alive` when nothing of it is left.
    pub(crate) fn start(
        home: &Home,
        expected: Expected,
        limits: hull_layer::Limits,
        alive: Sender<()>,
    ) -> Self {
        let (sender, receiver) = channel(CHUNKS);
        let home = home.clone();
        let thread = tokio::task::spawn_blocking(move || {
            let result = run(&home, expected, &limits, receiver);
            drop(alive);
            result
        });
        Self { sender, thread }
    }

    /// Gives the thread more; false when it has failed and wants no more.
    pub(crate) async fn push(&self, bytes: Bytes) -> bool {
        self.sender.send(Message::Bytes(bytes)).await.is_ok()
    }

    /// Publishes blob and layer, after all bytes were pushed and verified.
    pub(crate) async fn finish(self) -> Result<(), PullError> {
        // If the thread has failed, it says why below.
        let _ = self.sender.send(Message::Verified).await;
        drop(self.sender);
        joined(self.thread.await)
    }

    /// Gives up, waits for the thread, and returns its error if it has one of its own.
    pub(crate) async fn abandon(self) -> Option<PullError> {
        drop(self.sender);
        joined(self.thread.await).err()
    }
}

fn joined(result: Result<Result<(), PullError>, tokio::task::JoinError>) -> Result<(), PullError> {
    match result {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down.
        Err(_) => Err(PullError::Interrupted),
    }
}

fn run(
    home: &Home,
    expected: Expected,
    limits: &hull_layer::Limits,
    receiver: Receiver<Message>,
) -> Result<(), PullError> {
    let mut tee = Tee {
        receiver,
        file: home.temp_file()?,
        chunk: Bytes::new(),
        verified: false,
        error: None,
    };
    let converted = Fresh::convert(home, &mut tee, limits);
    if let Err(Failure::Store(error)) = converted {
        return Err(error.into());
    }
    // A layer that makes no sense may be a blob that was damaged on the way: read on to know.
    let rest = io::copy(&mut tee, &mut io::sink());
    if let Some(error) = tee.broken() {
        return Err(StoreError::of("write", &home.blob(&expected.blob))(error).into());
    }
    if rest.is_err() || !tee.verified {
        return Err(PullError::Interrupted);
    }
    let fresh = converted.map_err(|failure| failure.of_blob(expected.blob))?;
    let fresh = checked(fresh, expected.diff_id)?;
    publish_file(tee.file, &home.blob(&expected.blob))?;
    fresh.publish(home)?;
    Ok(())
}

/// Writes to the blob's file what it reads from the channel.
struct Tee {
    receiver: Receiver<Message>,
    file: NamedTempFile,
    chunk: Bytes,
    verified: bool,
    error: Option<io::Error>,
}

impl Tee {
    /// The error that kept the blob's file from being written.
    fn broken(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}

impl BufRead for Tee {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() && !self.verified {
            if self.error.is_some() {
                return Err(io::Error::other("the blob cannot be written"));
            }
            match self.receiver.blocking_recv() {
                Some(Message::Bytes(bytes)) => {
                    if let Err(error) = self.file.write_all(&bytes) {
                        self.error = Some(error);
                        continue;
                    }
                    self.chunk = bytes;
                }
                Some(Message::Verified) => self.verified = true,
                None => return Err(io::Error::other("the download ended early")),
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount);
    }
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// Converts a blob that is in the store already; false when it is not, or not any more what its
/// digest says (then it is removed).
pub(crate) fn from_store(
    home: &Home,
    expected: Expected,
    limits: &hull_layer::Limits,
) -> Result<bool, PullError> {
    let path = home.blob(&expected.blob);
    if !path.exists() {
        return Ok(false);
    }
    let (blob, converted) = convert_file(home, &path, limits)?;
    if blob != expected.blob {
        fs::remove_file(&path).map_err(StoreError::of("remove", &path))?;
        return Ok(false);
    }
    let fresh = converted.map_err(|failure| failure.of_blob(blob))?;
    checked(fresh, expected.diff_id)?.publish(home)?;
    Ok(true)
}

/// Takes a layer from a file, which becomes a blob; returns its digest, which has to be `blob` if
/// that is given.
pub(crate) fn add_file(
    home: &Home,
    path: &Path,
    blob: Option<Digest>,
    diff_id: Digest,
    limits: &hull_layer::Limits,
) -> Result<Digest, PullError> {
    if Layer::open(home, &diff_id).is_some() {
        return Ok(blob.unwrap_or(diff_id));
    }
    let (found, converted) = convert_file(home, path, limits)?;
    if let Some(digest) = blob.filter(|blob| *blob != found) {
        return Err(hull_registry::Error::BlobDigest { digest }.into());
    }
    let fresh = converted.map_err(|failure| failure.of_blob(found))?;
    let fresh = checked(fresh, diff_id)?;
    publish_path(path, &home.blob(&found))?;
    fresh.publish(home)?;
    Ok(found)
}

/// Takes a new layer from an archive, plain or compressed: it becomes a blob as it is. Returns the
/// digests of blob and uncompressed archive, which are kept for as long as the lease lives.
pub(crate) fn add_layer(
    home: &Home,
    mut archive: impl Read,
    limits: &hull_layer::Limits,
    leases: &Leases,
) -> Result<(Digest, Digest, Lease), PullError> {
    let mut file = home.temp_file()?;
    io::copy(&mut archive, &mut file)
        .map_err(|source| Failure::Layer(Box::new(source)).of_blob(Digest::of(b"")))?;
    let (blob, converted) = convert_file(home, file.path(), limits)?;
    let fresh = converted.map_err(|failure| failure.of_blob(blob))?;
    let diff_id = fresh.diff_id;
    let lease = leases.take([blob, diff_id]);
    publish_file(file, &home.blob(&blob))?;
    fresh.publish(home)?;
    Ok((blob, diff_id, lease))
}

/// Converts a file to its end; its digest tells whether a failure is the layer's.
fn convert_file(
    home: &Home,
    path: &Path,
    limits: &hull_layer::Limits,
) -> Result<(Digest, Result<Fresh, Failure>), PullError> {
    let inner = File::open(path).map_err(StoreError::of("read", path))?;
    let mut reader = Hashing { inner, hasher: Hasher::new() };
    let converted = Fresh::convert(home, BufReader::with_capacity(BUFFER, &mut reader), limits);
    if let Err(Failure::Store(error)) = converted {
        return Err(error.into());
    }
    io::copy(&mut reader, &mut io::sink()).map_err(StoreError::of("read", path))?;
    Ok((reader.hasher.finish(), converted))
}

fn checked(fresh: Fresh, expected: Digest) -> Result<Fresh, PullError> {
    let found = fresh.diff_id;
    if found == expected { Ok(fresh) } else { Err(PullError::DiffId { expected, found }) }
}

struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

/// Chunks that wait for the thread: a few hundred KiB of what the connection gives.
const CHUNKS: usize = 16;
const BUFFER: usize = 128 << 10;
