//! Blobs, streamed and verified.

use std::fmt;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::Response;

use super::Repository;
use super::retry::{Failure, Retry};
use crate::{Content, Descriptor, Error, Hasher};

impl Repository {
    /// A blob as a stream. Nothing is sent before the first [`BlobStream::next`].
    pub fn blob(&self, blob: &Descriptor) -> BlobStream {
        BlobStream {
            repository: self.clone(),
            blob: blob.clone(),
            response: None,
            hasher: Hasher::new(),
            received: 0,
            skip: 0,
            retry: Retry::new(&self.transport().settings.timeouts),
            progress_mark: 0,
            ended_at: None,
            on_retry: None,
        }
    }

    /// A whole blob of at most 8 MiB, as the configuration of an image.
    pub async fn blob_bytes(&self, blob: &Descriptor) -> Result<Bytes, Error> {
        if blob.size > MAX_SMALL {
            return Err(Error::BlobSize {
                digest: blob.digest,
                expected: MAX_SMALL,
                found: blob.size,
            });
        }
        let mut stream = self.blob(blob);
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    }
}

/// A blob on its way.
///
/// Downloads that are cut off go on where they stopped (RFC 9110 ranges). The bytes are verified
/// when the last one is here: until [`BlobStream::next`] gave `None`, nothing is known of them.
pub struct BlobStream {
    repository: Repository,
    blob: Descriptor,
    response: Option<Response>,
    hasher: Hasher,
    received: u64,
    /// Bytes of the answer that were received before: the registry does not know ranges.
    skip: u64,
    retry: Retry,
    /// Where the download was when the retries were counted from.
    progress_mark: u64,
    /// Where an answer ended properly, but before the end of the blob.
    ended_at: Option<u64>,
    on_retry: Option<Box<dyn Fn(Duration) + Send + Sync>>,
}

impl BlobStream {
    /// Calls `notify` with the time to wait before each new try.
    pub fn on_retry(mut self, notify: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.on_retry = Some(Box::new(notify));
        self
    }

    /// The next bytes; `None` when all bytes came and are what digest and size promised.
    ///
    /// # Errors
    /// When the registry does not have the blob, keeps failing, or sends something else.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if let (Content::ForeignLayer, Some(url)) =
            (self.blob.media_type.content(), self.blob.urls.first())
        {
            return Err(Error::ForeignLayer { digest: self.blob.digest, url: url.clone() });
        }
        while self.received < self.blob.size {
            match self.step().await {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(failure) => self.pause(failure).await?,
            }
        }
        if let Some(mut response) = self.response.take() {
            // Bytes after the end mean another blob than the manifest's.
            let url = response.url().clone();
            if let Ok(Some(more)) = self.repository.transport().chunk(&mut response, &url).await
                && !more.is_empty()
            {
                return Err(self.wrong_size(self.received + more.len() as u64));
            }
        }
        if self.hasher.clone().finish() != self.blob.digest {
            return Err(Error::BlobDigest { digest: self.blob.digest });
        }
        Ok(None)
    }

    async fn step(&mut self) -> Result<Bytes, Failure> {
        let mut response = match self.response.take() {
            Some(response) => response,
            None => self.open().await?,
        };
        let url = response.url().clone();
        let Some(mut bytes) = self.repository.transport().chunk(&mut response, &url).await? else {
            // A second answer that ends here means that there is no more.
            if self.ended_at.replace(self.received) == Some(self.received) {
                return Err(self.wrong_size(self.received).into());
            }
            let cause = crate::Cause::Broken("unexpected EOF".to_owned());
            return Err(super::failure::error("Get", &url, cause).into());
        };
        self.response = Some(response);
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        bytes.advance(usize::try_from(skipped).unwrap_or(usize::MAX));
        self.received += bytes.len() as u64;
        if self.received > self.blob.size {
            return Err(self.wrong_size(self.received).into());
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// Asks for what is missing.
    async fn open(&mut self) -> Result<Response, Failure> {
        let mut headers = HeaderMap::new();
        if self.received > 0 {
            let range = format!("bytes={}-", self.received);
            headers.extend(HeaderValue::from_str(&range).ok().map(|value| (RANGE, value)));
        }
        let name = self.blob.digest.to_string();
        let response = match self.repository.get("blobs", &name, headers, "Get").await {
            Ok(response) => response,
            Err(failure) => return Err(self.explain(failure)),
        };
        self.skip = 0;
        let whole = match response.status().as_u16() {
            206 => match content_range(response.headers()) {
                Some((start, total)) if start == self.received => total,
                _ => return Err(self.wrong_size(self.received).into()),
            },
            200 => {
                self.skip = self.received;
                response.content_length()
            }
            _ => None,
        };
        match whole {
            Some(found) if found != self.blob.size => Err(self.wrong_size(found).into()),
            _ => Ok(response),
        }
    }

    fn explain(&self, failure: Failure) -> Failure {
        let Error::Response(error) = &failure.error else {
            return failure;
        };
        let digest = self.blob.digest;
        match (error.code.as_str(), error.status) {
            (_, 416) => self.wrong_size(self.received).into(),
            ("BLOB_UNKNOWN" | "", 404) => {
                Error::BlobUnknown { digest, error: error.clone() }.into()
            }
            _ => failure,
        }
    }

    /// Waits for the next try, or gives up.
    async fn pause(&mut self, failure: Failure) -> Result<(), Error> {
        self.response = None;
        // A registry that gives a byte at a time must not keep us for ever.
        if self.received >= self.progress_mark + ENOUGH_PROGRESS {
            self.retry.progress();
            self.progress_mark = self.received;
        }
        let wait = self.retry.after(failure)?;
        tracing::debug!(digest = %self.blob.digest, received = self.received, ?wait, "trying again");
        if let Some(notify) = &self.on_retry {
            notify(wait);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn wrong_size(&self, found: u64) -> Error {
        Error::BlobSize { digest: self.blob.digest, expected: self.blob.size, found }
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("blob", &self.blob)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// Start and total of `bytes 10-99/100`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

const ENOUGH_PROGRESS: u64 = 64 << 10;
const MAX_SMALL: u64 = 8 << 20;
