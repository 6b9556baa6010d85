//! The client.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use crate::{Credentials, Descriptor, Digest, Error, Manifest, Platform, Reference};

/// A client for registries: connections and tokens, shared by clones.
#[derive(Clone, Debug)]
pub struct Client {}

/// How registries are talked to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Registries (`host` or `host:port`) that need no TLS or have untrusted certificates, as
    /// Docker's `insecure-registries`. Loopback addresses never do.
    pub insecure_registries: Vec<String>,
    /// Directories with a subdirectory per registry (`host:port`) of `*.crt` files to trust, as
    /// Docker's `/etc/docker/certs.d`.
    pub certificate_dirs: Vec<PathBuf>,
    /// The proxy to go through; none unless given.
    pub proxy: Option<Proxy>,
    /// `User-Agent` of requests.
    pub user_agent: String,
    /// Patience.
    pub timeouts: Timeouts,
}

/// A proxy by the addresses of Docker's `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    /// For plain http.
    pub http: Option<String>,
    /// For https.
    pub https: Option<String>,
    /// Hosts not to use it for.
    pub no_proxy: String,
}

/// How long to wait for what, and how often to try.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// For a connection, TLS included. 10 s.
    pub connect: Duration,
    /// For the first answer of a registry. 15 s, as Docker.
    pub ping: Duration,
    /// Without a byte. 30 s.
    pub idle: Duration,
    /// Tries of a request that fails in a way that may pass. 5.
    pub attempts: u32,
    /// Wait before the second try; it doubles from try to try. 500 ms.
    pub backoff: Duration,
    /// The longest wait a registry may ask for (`Retry-After`). 60 s.
    pub retry_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            insecure_registries: Vec::new(),
            certificate_dirs: Vec::new(),
            proxy: None,
            user_agent: concat!("hull/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            ping: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            attempts: 5,
            backoff: Duration::from_millis(500),
            retry_after: Duration::from_secs(60),
        }
    }
}

impl Client {
    /// A client.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let _ = settings;
        unimplemented!()
    }

    /// Reaches the registry of `reference` and finds out how it wants to be spoken to.
    pub async fn repository(
        &self,
        reference: &Reference,
        credentials: Option<Credentials>,
    ) -> Result<Repository, Error> {
        let _ = (reference, credentials);
        unimplemented!()
    }
}

/// One repository of a registry, and who asks for it.
#[derive(Clone, Debug)]
pub struct Repository {}

impl Repository {
    /// The manifest that the reference means on `platform`.
    pub async fn resolve(&self, platform: &Platform) -> Result<Resolved, Error> {
        let _ = platform;
        unimplemented!()
    }

    /// A blob as a stream.
    pub fn blob(&self, blob: &Descriptor) -> BlobStream {
        let _ = blob;
        unimplemented!()
    }
}

/// A manifest and where it came from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The digest of what the reference itself means: the index if there is one.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
    /// Its digest.
    pub manifest_digest: Digest,
    /// All documents on the way, the index first and the manifest last, as the registry sent them.
    pub documents: Vec<(Digest, Bytes)>,
}

/// A blob on its way.
#[derive(Debug)]
pub struct BlobStream {}

impl BlobStream {
    /// The next bytes; `None` when all bytes came and were what digest and size promised.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        unimplemented!()
    }
}
