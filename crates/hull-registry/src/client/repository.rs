//! One repository of a registry, and who asks for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderValue;
use reqwest::{Response, Url};

use super::retry::Failure;
use super::token::{Request, Tokens, basic, bearer};
use super::transport::{Get, Transport};
use super::{Client, failure};
use crate::auth::Challenge;
use crate::reference::DEFAULT_DOMAIN;
use crate::{ApiError, Cause, Credentials, Error, Reference};

/// One repository of a registry, and who asks for it. Clones share connections.
#[derive(Clone, Debug)]
pub struct Repository {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    transport: Arc<Transport>,
    tokens: Arc<Tokens>,
    reference: Reference,
    credentials: Option<Credentials>,
    /// `https://registry/v2/`.
    base: Url,
    /// How the registry wants to know who asks.
    challenge: Mutex<Option<Challenge>>,
}

impl Repository {
    pub(super) async fn reach(
        client: &Client,
        reference: Reference,
        credentials: Option<Credentials>,
    ) -> Result<Self, Error> {
        let host = match reference.domain() {
            DEFAULT_DOMAIN => "registry-1.docker.io",
            other => other,
        };
        let transport = &client.transport;
        let schemes: &[&str] =
            if transport.hosts.is_insecure(host) { &["https", "http"] } else { &["https"] };
        let mut outcome = Err(Error::Tls("no scheme".to_owned()));
        for scheme in schemes {
            outcome = ping(transport, scheme, host).await;
            match &outcome {
                Ok(_) => break,
                Err(error) => tracing::debug!(%error, "registry not reached"),
            }
        }
        let (base, headers) = outcome?;
        let challenge = choose(Challenge::all(&headers));
        Ok(Self {
            inner: Arc::new(Inner {
                transport: Arc::clone(transport),
                tokens: Arc::clone(&client.tokens),
                reference,
                credentials,
                base,
                challenge: Mutex::new(challenge),
            }),
        })
    }

    /// The reference this was reached for.
    pub fn reference(&self) -> &Reference {
        &self.inner.reference
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    /// Gets `kind/name` of the repository; answers with an error status are errors.
    ///
    /// A token that does not do is replaced once.
    pub(super) async fn get(
        &self,
        kind: &str,
        name: &str,
        headers: HeaderMap,
        method: &'static str,
    ) -> Result<Response, Failure> {
        let inner = &*self.inner;
        let path = format!("{}/{kind}/{name}", inner.reference.path());
        let url = inner
            .base
            .join(&path)
            .map_err(|e| failure::error(method, &inner.base, Cause::Other(e.to_string())))?;
        let mut fresh = false;
        loop {
            let authorization = self.authorization(&url, method, fresh).await?;
            let get = Get {
                url: url.clone(),
                headers: headers.clone(),
                authorization,
                method,
                patience: inner.transport.settings.timeouts.idle,
                origin: inner.reference.domain(),
            };
            let response = inner.transport.get(get).await?;
            let status = response.status().as_u16();
            if status < 400 {
                return Ok(response);
            }
            let challenges = Challenge::all(response.headers());
            if status == 401
                && !fresh
                && response.url().host() == url.host()
                && let Some(challenge) = choose(challenges.clone())
            {
                *self.challenge() = Some(challenge);
                fresh = true;
                continue;
            }
            return Err(self.refusal(response, &challenges).await);
        }
    }

    /// What an answer with an error status says.
    async fn refusal(&self, response: Response, challenges: &[Challenge]) -> Failure {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = match self.inner.transport.body(response, MAX_ERROR).await {
            Ok(body) => body.unwrap_or_default(),
            Err(error) => return error.into(),
        };
        let mut error = ApiError::parse(status, &body);
        // RFC 6750, section 3.1, which registries like Docker Hub use.
        for challenge in challenges.iter().filter(|c| c.scheme == "bearer") {
            let (code, message) = match challenge.parameter("error") {
                Some("invalid_token") => ("UNAUTHORIZED", "authentication required"),
                Some("insufficient_scope") => {
                    ("DENIED", "requested access to the resource is denied")
                }
                _ => continue,
            };
            (error.code, error.message) = (code.to_owned(), message.to_owned());
        }
        Failure::of_answer(Error::Response(error), status, &headers)
    }

    async fn authorization(
        &self,
        url: &Url,
        method: &'static str,
        fresh: bool,
    ) -> Result<Option<HeaderValue>, Error> {
        let inner = &*self.inner;
        let credentials = inner.credentials.as_ref();
        if let Some(Credentials::RegistryToken(token)) = credentials {
            return Ok(bearer(token));
        }
        let Some(challenge) = self.challenge().clone() else {
            return Ok(None);
        };
        if challenge.scheme == "basic" {
            return match credentials {
                Some(Credentials::Password { username, password }) => {
                    Ok(Some(basic(username, password)))
                }
                _ => Err(failure::error(method, url, Cause::NoCredentials)),
            };
        }
        let request = Request {
            challenge: &challenge,
            scope: format!("repository:{}:pull", inner.reference.path()),
            credentials,
            url,
            method,
            registry: inner.reference.domain(),
        };
        inner.tokens.header(&inner.transport, &request, fresh).await.map(Some)
    }

    fn challenge(&self) -> std::sync::MutexGuard<'_, Option<Challenge>> {
        self.inner.challenge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for `/v2/`; any HTTP answer will do.
async fn ping(transport: &Transport, scheme: &str, host: &str) -> Result<(Url, HeaderMap), Error> {
    let base = Url::parse(&format!("{scheme}://{host}/v2/"))
        .map_err(|error| Error::Tls(format!("`{host}` is no address of a registry: {error}")))?;
    // Plain http on the https port is found out quickly; who says nothing gets Docker's patience.
    let patience: Duration = transport.settings.timeouts.ping;
    let get = Get {
        url: base.clone(),
        headers: HeaderMap::new(),
        authorization: None,
        method: "Get",
        patience,
        origin: host,
    };
    let response = transport.get(get).await?;
    Ok((base, response.headers().clone()))
}

/// The challenge to answer: bearer before basic; others are not known.
fn choose(challenges: Vec<Challenge>) -> Option<Challenge> {
    let mut known: Vec<_> = challenges
        .into_iter()
        .filter(|c| matches!(c.scheme.as_str(), "bearer" | "basic"))
        .collect();
    known.sort_by_key(|challenge| challenge.scheme == "basic");
    known.into_iter().next()
}

const MAX_ERROR: usize = 64 << 10;
