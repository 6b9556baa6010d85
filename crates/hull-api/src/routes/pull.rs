//! Images that come: from a registry or an archive.

use std::pin::Pin;

use axum::body::Body;
use axum::extract::State;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use hull_engine::image::{Credentials, PullOptions, PullProgress, Pulled};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::stream::{self, Sink};
use super::{Answer, ok};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::wire;

/// `POST /images/create`: pulls, or imports.
pub(super) async fn create(
    State(server): State<Server>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    if parameters.text("fromSrc").is_some() {
        return super::image_archive::import(server, parameters, body).await;
    }
    for name in ["repo", "message"] {
        if let Some(value) = parameters.text(name) {
            let text = format!("parameter {name} is not supported: {value}");
            return Err(ApiError::bad_request(text));
        }
    }
    let image = parameters
        .text("fromImage")
        .ok_or_else(|| ApiError::bad_request("fromImage is required: no image to pull"))?;
    let options = PullOptions {
        platform: parameters.text("platform").map(str::to_owned),
        credentials: credentials(&headers)?,
    };
    let reference = match parameters.text("tag") {
        Some(digest) if digest.contains(':') => format!("{image}@{digest}"),
        Some(tag) => format!("{image}:{tag}"),
        None if names_all(image) => return pull_all(server, image, options).await,
        None => image.to_owned(),
    };
    // Errors before the first message are errors of the request, as in Docker.
    let mut pull = Pull::begin(&server, reference, options);
    let first = pull.first().await?;
    Ok(stream::stream("application/json", move |sink| async move {
        if let Err(error) = pull.show(&sink, first).await {
            failed(&sink, error).await;
        }
    }))
}

/// Pulls everything that a repository has a tag for.
async fn pull_all(server: Server, image: &str, options: PullOptions) -> Answer {
    let tags = server.engine.tags(image, options.credentials.clone()).await?;
    let image = image.to_owned();
    Ok(stream::stream("application/json", move |sink| async move {
        for tag in tags {
            let mut pull = Pull::begin(&server, format!("{image}:{tag}"), options.clone());
            let shown = match pull.first().await {
                Ok(first) => pull.show(&sink, first).await,
                Err(error) => Err(error),
            };
            if let Err(error) = shown {
                return failed(&sink, error).await;
            }
        }
    }))
}

/// Whether a name has neither tag nor digest: a colon after the last slash is a tag's.
fn names_all(image: &str) -> bool {
    !image.rsplit('/').next().unwrap_or(image).contains([':', '@'])
}

/// A pull under way, and what it says.
struct Pull {
    messages: mpsc::UnboundedReceiver<PullProgress>,
    work: Pin<Box<dyn Future<Output = Result<Pulled, hull_engine::Error>> + Send>>,
}

/// What a pull does first: it says something, or ends.
enum First {
    Said(PullProgress),
    Done(Pulled),
}

impl Pull {
    fn begin(server: &Server, reference: String, options: PullOptions) -> Self {
        let (sender, messages) = mpsc::unbounded_channel();
        let engine = server.engine.clone();
        let work = Box::pin(async move {
            let progress = move |progress| drop(sender.send(progress));
            engine.pull(&reference, options, progress).await
        });
        Self { messages, work }
    }

    async fn first(&mut self) -> Result<First, hull_engine::Error> {
        tokio::select! {
            biased;
            Some(first) = self.messages.recv() => Ok(First::Said(first)),
            result = &mut self.work => result.map(First::Done),
        }
    }

    /// Shows it to its end.
    async fn show(&mut self, sink: &Sink, first: First) -> Result<(), hull_engine::Error> {
        let result = match first {
            First::Done(pulled) => Ok(pulled),
            First::Said(first) => {
                forward(sink, &first).await;
                loop {
                    tokio::select! {
                        biased;
                        Some(progress) = self.messages.recv() => forward(sink, &progress).await,
                        result = &mut self.work => break result,
                    }
                }
            }
        };
        // What was said between the last message and the end.
        while let Ok(progress) = self.messages.try_recv() {
            forward(sink, &progress).await;
        }
        for value in wire::pulled(&result?) {
            sink.json(&value).await;
        }
        Ok(())
    }
}

/// `POST /images/load`: the body is an archive of any size.
pub(super) async fn load(
    State(server): State<Server>,
    parameters: Parameters,
    body: Body,
) -> Answer {
    parameters.refuse(&["platform"])?;
    let names = server.engine.load(Box::pin(super::read(body))).await?;
    let mut values = names.iter().map(|name| wire::loaded(name));
    if let [_] = names.as_slice()
        && let Some(value) = values.next()
    {
        return ok(&value);
    }
    Ok(stream::stream("application/json", move |sink| async move {
        for name in names {
            sink.json(&wire::loaded(&name)).await;
        }
    }))
}

async fn forward(sink: &Sink, progress: &PullProgress) {
    if let Some(value) = wire::pulling(progress) {
        sink.json(&value).await;
    }
}

async fn failed(sink: &Sink, error: hull_engine::Error) {
    let message = ApiError::in_stream(error);
    sink.json(&json!({"errorDetail": {"message": message}, "error": message})).await;
}

/// Reads `X-Registry-Auth`: JSON in URL-safe base64, empty or `{}` for none.
fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, ApiError> {
    let Some(header) = headers.get("X-Registry-Auth").filter(|header| !header.is_empty()) else {
        return Ok(None);
    };
    let wrong = || ApiError::bad_request("invalid X-Registry-Auth header: no JSON in base64");
    let json = BASE64.decode(header).map_err(|_| wrong())?;
    let auth: Auth = serde_json::from_slice(&json).map_err(|_| wrong())?;
    Ok(auth.into_credentials())
}

/// Docker's `AuthConfig`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl Auth {
    fn into_credentials(self) -> Option<Credentials> {
        if !self.identitytoken.is_empty() {
            return Some(Credentials::IdentityToken(self.identitytoken));
        }
        if !self.registrytoken.is_empty() {
            return Some(Credentials::RegistryToken(self.registrytoken));
        }
        (!self.username.is_empty())
            .then_some(Credentials::Basic { username: self.username, password: self.password })
    }
}

/// URL-safe, with or without padding: clients do both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_URL_SAFE;
    use http::HeaderValue;

    use super::*;

    fn read(value: &str) -> Result<Option<Credentials>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert("X-Registry-Auth", HeaderValue::from_str(value).unwrap());
        credentials(&headers)
    }

    #[test]
    fn names_without_tag_mean_all() {
        for (name, all) in
            [("busybox", true), ("r:5000/x", true), ("r:5000/x:1", false), ("x@y", false)]
        {
            assert_eq!(names_all(name), all, "{name}");
        }
    }

    #[test]
    fn credentials_are_read() {
        let encode = |json: &str| BASE64_URL_SAFE.encode(json);
        assert!(read("").unwrap().is_none());
        assert!(read(&encode("{}")).unwrap().is_none());
        let basic = read(&encode(r#"{"username":"u","password":"p","serveraddress":"x"}"#));
        assert!(matches!(
            basic.unwrap(),
            Some(Credentials::Basic { username, password }) if username == "u" && password == "p"
        ));
        let token = read(encode(r#"{"identitytoken":"t"}"#).trim_end_matches('='));
        assert!(matches!(token.unwrap(), Some(Credentials::IdentityToken(t)) if t == "t"));
        assert!(read("!!").is_err());
    }
}
