//! Bearer tokens.
//!
//! See the distribution specification's "Token Authentication" and "OAuth2 token authentication".

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use serde::Deserialize;

use super::failure;
use super::transport::{Get, Transport, host_port};
use crate::auth::Challenge;
use crate::{ApiError, Cause, Credentials, Digest, Error};

/// Tokens by what they were asked for with.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<Digest, Token>>);

/// What a token is asked for.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) challenge: &'a Challenge,
    pub(crate) scope: String,
    pub(crate) credentials: Option<&'a Credentials>,
    /// The request that needs the token: errors are told about it.
    pub(crate) url: &'a Url,
    pub(crate) method: &'static str,
    /// The registry, as `localhost:5000`.
    pub(crate) registry: &'a str,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    expires: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The `Authorization` header for a request; a new one when `fresh`.
    pub(crate) async fn header(
        &self,
        transport: &Transport,
        request: &Request<'_>,
        fresh: bool,
    ) -> Result<HeaderValue, Error> {
        let key = request.key();
        if !fresh {
            let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(token) = tokens.get(&key).filter(|t| t.expires > Instant::now()) {
                return Ok(token.header.clone());
            }
        }
        let token = request.send(transport).await?;
        let header = token.header.clone();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.expires > Instant::now());
        tokens.insert(key, token);
        Ok(header)
    }
}

impl Request<'_> {
    fn key(&self) -> Digest {
        let (sort, user, secret) = match self.credentials {
            None => ("", "", ""),
            Some(Credentials::IdentityToken(token)) => ("identity", "", token.as_str()),
            Some(Credentials::RegistryToken(token)) => ("registry", "", token.as_str()),
            Some(Credentials::Password { username, password }) => {
                ("password", username.as_str(), password.as_str())
            }
        };
        let realm = self.challenge.parameter("realm").unwrap_or_default();
        let service = self.challenge.parameter("service").unwrap_or_default();
        Digest::of([realm, service, &self.scope, sort, user, secret].join("\0").as_bytes())
    }

    async fn send(&self, transport: &Transport) -> Result<Token, Error> {
        let failed = |text: String| failure::error(self.method, self.url, Cause::Token(text));
        let realm = self.challenge.parameter("realm").unwrap_or_default();
        let realm = Url::parse(realm)
            .map_err(|_| failed(format!("no usable realm in bearer challenge: `{realm}`")))?;
        let plain = transport.hosts.is_insecure(self.registry)
            && transport.hosts.is_insecure(&host_port(&realm));
        if realm.scheme() != "https" && !(realm.scheme() == "http" && plain) {
            return Err(failed(format!(
                "refusing to ask {} for a token: it is not https",
                failure::shown(&realm)
            )));
        }
        let service = self.challenge.parameter("service");
        let response = match self.credentials {
            Some(Credentials::IdentityToken(token)) => {
                // A query is encoded as a form is.
                let mut form = realm.clone();
                form.query_pairs_mut().clear().extend_pairs([
                    ("grant_type", "refresh_token"),
                    ("service", service.unwrap_or_default()),
                    ("client_id", "hull"),
                    ("scope", &self.scope),
                    ("refresh_token", token),
                ]);
                let form = form.query().unwrap_or_default().to_owned();
                transport.post_form(&realm, form).await?
            }
            other => {
                let mut url = realm.clone();
                let mut authorization = None;
                {
                    let mut query = url.query_pairs_mut();
                    if let Some(Credentials::Password { username, password }) = other {
                        query.append_pair("account", username);
                        authorization = Some(basic(username, password));
                    }
                    query.append_pair("scope", &self.scope);
                    query.extend_pairs(service.map(|service| ("service", service)));
                }
                let get = Get {
                    url,
                    headers: HeaderMap::new(),
                    authorization,
                    method: "Get",
                    patience: transport.settings.timeouts.idle,
                    origin: self.registry,
                };
                transport.get(get).await?
            }
        };
        let status = response.status().as_u16();
        let body = transport.body(response, MAX_ANSWER).await?.unwrap_or_default();
        if status != 200 {
            return Err(failed(ApiError::parse(status, &body).to_string()));
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| failed(format!("unable to decode token response: {error}")))?;
        let text =
            [answer.token, answer.access_token].into_iter().flatten().find(|t| !t.is_empty());
        let text = text.ok_or_else(|| {
            failed("authorization server did not include a token in the response".to_owned())
        })?;
        let header = bearer(&text).ok_or_else(|| failed("the token is malformed".to_owned()))?;
        // The specification's default, and its minimum. A tenth early, for the way there.
        let seconds = answer.expires_in.unwrap_or(0).clamp(60, 86_400);
        let expires = Instant::now() + Duration::from_secs(seconds) * 9 / 10;
        Ok(Token { header, expires })
    }
}

/// `Basic` with a user name and a password.
pub(crate) fn basic(username: &str, password: &str) -> HeaderValue {
    let text = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    secret(&text).unwrap_or_else(|| HeaderValue::from_static("Basic"))
}

/// `Bearer` with a token; `None` when it cannot stand in a header.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

const MAX_ANSWER: usize = 1 << 20;
