//! HTTP requests: TLS, redirects, time-outs, and errors in words.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Response, Url};
use tokio::time::timeout;

use super::failure;
use super::tls;
use crate::client::hosts::Hosts;
use crate::{Cause, Error, Settings};

/// Sends requests for a client.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) settings: Settings,
    pub(crate) hosts: Hosts,
    /// One HTTP client per registry with certificates of its own, one for insecure registries and
    /// one for everyone else.
    clients: Mutex<HashMap<Trust, reqwest::Client>>,
}

/// A GET to send.
#[derive(Debug)]
pub(crate) struct Get<'a> {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Sent to the origin of `url` only, never where a redirect leads elsewhere.
    pub(crate) authorization: Option<HeaderValue>,
    /// How errors name the method: Docker looks up tags with HEAD.
    pub(crate) method: &'static str,
    /// Patience until the headers are here.
    pub(crate) patience: Duration,
    pub(crate) origin: &'a str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Trust {
    Anyone,
    Host(String),
    System,
}

impl Transport {
    pub(crate) fn new(settings: Settings) -> Self {
        let hosts = Hosts::new(&settings.insecure_registries);
        Self { settings, hosts, clients: Mutex::default() }
    }

    /// Sends a GET and follows redirects.
    pub(crate) async fn get(&self, get: Get<'_>) -> Result<Response, Error> {
        let plain_origin = self.hosts.is_insecure(get.origin);
        let mut url = get.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self
                .client(&url)?
                .get(url.clone())
                .headers(get.headers.clone())
                .header(ACCEPT_ENCODING, "identity");
            if let Some(authorization) = &get.authorization
                && same_origin(&url, &get.url)
            {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            let response = self.send(request, &url, get.method, get.patience).await?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let target = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
            let refuse = |reason: String| failure::error(get.method, &url, Cause::Other(reason));
            let next = target
                .and_then(|target| url.join(target).ok())
                .ok_or_else(|| refuse("redirect without a usable Location".to_owned()))?;
            let allowed = match next.scheme() {
                "https" => true,
                "http" => plain_origin && self.hosts.is_insecure(&host_port(&next)),
                _ => false,
            };
            if !allowed {
                return Err(refuse(format!(
                    "refusing a redirect to {}: it is not https",
                    failure::shown(&next)
                )));
            }
            url = next;
        }
        let cause = Cause::Other(format!("stopped after {MAX_REDIRECTS} redirects"));
        Err(failure::error(get.method, &get.url, cause))
    }

    /// Posts a form; redirects are errors, since the form has secrets.
    pub(crate) async fn post_form(&self, url: &Url, form: String) -> Result<Response, Error> {
        let request = self
            .client(url)?
            .post(url.clone())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        self.send(request, url, "Post", self.settings.timeouts.idle).await
    }

    /// Reads a body of at most `limit` bytes; `None` when it is longer.
    pub(crate) async fn body(
        &self,
        mut response: Response,
        limit: usize,
    ) -> Result<Option<Bytes>, Error> {
        let url = response.url().clone();
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Ok(None);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk(&mut response, &url).await? {
            if body.len() + chunk.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body.freeze()))
    }

    /// The next piece of a body.
    pub(crate) async fn chunk(
        &self,
        response: &mut Response,
        url: &Url,
    ) -> Result<Option<Bytes>, Error> {
        let idle = self.settings.timeouts.idle;
        match timeout(idle, response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(failure::error("Get", url, failure::cause(&error, url).await)),
            Err(_) => Err(failure::error("Get", url, Cause::Stalled(idle))),
        }
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        method: &'static str,
        patience: Duration,
    ) -> Result<Response, Error> {
        match timeout(patience, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(failure::error(method, url, failure::cause(&error, url).await)),
            Err(_) => Err(failure::error(method, url, Cause::Timeout)),
        }
    }

    fn client(&self, url: &Url) -> Result<reqwest::Client, Error> {
        let host = host_port(url);
        let trust = if self.hosts.is_insecure(&host) {
            Trust::Anyone
        } else if self.certificate_dirs(&host).next().is_some() {
            Trust::Host(host.clone())
        } else {
            Trust::System
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&trust) {
            return Ok(client.clone());
        }
        let tls = match &trust {
            Trust::Anyone => tls::trusting_anyone()?,
            Trust::Host(_) => tls::trusting(self.certificate_dirs(&host))?,
            Trust::System => tls::trusting(std::iter::empty::<&Path>())?,
        };
        let client = self.build(tls).map_err(|error| Error::Tls(error.to_string()))?;
        clients.insert(trust, client.clone());
        Ok(client)
    }

    fn certificate_dirs(&self, host: &str) -> impl Iterator<Item = std::path::PathBuf> {
        let dirs = self.settings.certificate_dirs.iter().map(|dir| dir.join(host));
        dirs.filter(|dir| dir.is_dir()).collect::<Vec<_>>().into_iter()
    }

    fn build(&self, tls: rustls::ClientConfig) -> reqwest::Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(&self.settings.user_agent)
            .connect_timeout(self.settings.timeouts.connect)
            .redirect(reqwest::redirect::Policy::none())
            // Never from the environment; what settings say comes next.
            .no_proxy();
        if let Some(proxy) = &self.settings.proxy {
            let except = || reqwest::NoProxy::from_string(&proxy.no_proxy);
            if let Some(address) = &proxy.http {
                builder = builder.proxy(reqwest::Proxy::http(address)?.no_proxy(except()));
            }
            if let Some(address) = &proxy.https {
                builder = builder.proxy(reqwest::Proxy::https(address)?.no_proxy(except()));
            }
        }
        builder.build()
    }
}

fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// `host` or `host:port`, as in references.
pub(crate) fn host_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

const MAX_REDIRECTS: usize = 10;
