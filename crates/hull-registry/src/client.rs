//! The client.

mod blob;
mod download;
mod failure;
mod hosts;
mod repository;
mod resolve;
mod retry;
mod tags;
mod tls;
mod token;
mod transport;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use blob::BlobStream;
pub use download::Download;
pub use repository::Repository;
pub use resolve::Resolved;

use crate::{Credentials, Error, Reference};
use token::Tokens;
use transport::Transport;

/// A client for registries: connections and tokens, shared by clones.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<Transport>,
    tokens: Arc<Tokens>,
}

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
    /// A client. Certificates are read when a registry needs them.
    pub fn new(settings: Settings) -> Self {
        Self { transport: Arc::new(Transport::new(settings)), tokens: Arc::default() }
    }

    /// Reaches the registry of `reference` and finds out how it wants to be spoken to.
    ///
    /// Registries on loopback addresses and insecure ones are tried with https first, then with
    /// http, as Docker does.
    pub async fn repository(
        &self,
        reference: &Reference,
        credentials: Option<Credentials>,
    ) -> Result<Repository, Error> {
        Repository::reach(self, reference.clone(), credentials).await
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}
