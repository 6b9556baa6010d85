//! A registry on a loopback port that misbehaves as it is told.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests, of which each binary uses a part"
)]

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hull_registry::{Client, Digest, Reference, Settings, Timeouts};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What to do instead of answering properly.
#[derive(Clone, Debug)]
pub enum Act {
    /// Close the connection after so many bytes of the body.
    Cut(usize),
    /// Say nothing more after so many bytes of the body.
    HangAfter(usize),
    /// Never answer.
    Hang,
    /// Answer the whole, whatever range was asked for.
    IgnoreRange,
    Redirect(String),
    /// Send other bytes, chunked.
    Send(Bytes),
    Status(u16, Vec<(&'static str, String)>, String),
}

#[derive(Clone, Debug, Default)]
pub enum Auth {
    #[default]
    Anonymous,
    Basic,
    Bearer,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub query: String,
    pub authorization: Option<String>,
    pub range: Option<String>,
    pub body: String,
}

#[derive(Debug, Default)]
struct State {
    content: Mutex<HashMap<String, (String, Bytes)>>,
    script: Mutex<HashMap<String, VecDeque<Act>>>,
    always: Mutex<HashMap<String, Act>>,
    seen: Mutex<Vec<Seen>>,
    auth: Mutex<Auth>,
}

#[derive(Debug)]
pub struct Fake {
    pub address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Body = BoxBody<Bytes, io::Error>;

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let state = Arc::clone(&state);
                        async move { Ok::<_, Infallible>(serve(&state, request, address).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, state, task }
    }

    pub fn require(&self, auth: Auth) {
        *self.state.auth.lock().unwrap() = auth;
    }

    /// Does `acts` for the next requests of `path`, then answers properly.
    pub fn script(&self, path: &str, acts: impl IntoIterator<Item = Act>) {
        self.state.script.lock().unwrap().insert(path.to_owned(), acts.into_iter().collect());
    }

    pub fn always(&self, path: &str, act: Act) {
        self.state.always.lock().unwrap().insert(path.to_owned(), act);
    }

    pub fn serve(&self, path: &str, content_type: &str, body: impl Into<Bytes>) {
        let content = (content_type.to_owned(), body.into());
        self.state.content.lock().unwrap().insert(path.to_owned(), content);
    }

    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.state.seen.lock().unwrap();
        seen.iter().filter(|s| s.path == path).cloned().collect()
    }

    pub fn forget(&self) {
        self.state.script.lock().unwrap().clear();
        self.state.always.lock().unwrap().clear();
        self.state.seen.lock().unwrap().clear();
    }

    /// Adds a blob to repository `x`; returns its descriptor.
    pub fn blob(&self, media_type: &str, content: impl Into<Bytes>) -> Value {
        let content = content.into();
        let digest = Digest::of(&content);
        let size = content.len();
        self.serve(&blob_path(&digest), "application/octet-stream", content);
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    /// Adds a manifest (or index) under its digest and, if given, a tag; returns its descriptor.
    pub fn manifest(&self, tag: Option<&str>, media_type: &str, document: &Value) -> Value {
        let body = document.to_string();
        let digest = Digest::of(body.as_bytes());
        for name in tag.into_iter().chain([digest.to_string().as_str()]) {
            self.serve(&format!("/v2/x/manifests/{name}"), media_type, body.clone());
        }
        json!({"mediaType": media_type, "digest": digest, "size": body.len()})
    }

    /// Adds an image of uncompressed layers; returns the descriptor of its manifest.
    pub fn image(&self, tag: Option<&str>, layers: &[&[u8]]) -> Value {
        let descriptors: Vec<_> =
            layers.iter().map(|layer| self.blob(OCI_LAYER, layer.to_vec())).collect();
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
        self.image_of(tag, &descriptors, &diff_ids)
    }

    pub fn image_of(&self, tag: Option<&str>, layers: &[Value], diff_ids: &[Digest]) -> Value {
        let config = json!({
            "architecture": hull_registry::Platform::host().architecture, "os": "linux",
            "created": "2024-05-06T07:08:09Z", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = self.blob(OCI_CONFIG, config.to_string());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.manifest(tag, OCI_MANIFEST, &manifest)
    }

    pub fn reference(&self, suffix: &str) -> Reference {
        format!("{}/x{suffix}", self.address).parse().unwrap()
    }

    pub fn settings() -> Settings {
        Settings {
            timeouts: Timeouts {
                connect: Duration::from_secs(2),
                ping: Duration::from_millis(400),
                idle: Duration::from_millis(400),
                attempts: 4,
                backoff: Duration::from_millis(10),
                retry_after: Duration::from_secs(3),
            },
            ..Settings::default()
        }
    }

    pub fn client() -> Client {
        Client::new(Self::settings())
    }
}

pub fn blob_path(digest: &Digest) -> String {
    format!("/v2/x/blobs/{digest}")
}

pub fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

async fn serve(state: &State, request: Request<Incoming>, own: SocketAddr) -> Response<Body> {
    let header =
        |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (authorization, range) = (header("authorization"), header("range"));
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let seen = Seen {
        path: path.clone(),
        query: query.clone(),
        authorization: authorization.clone(),
        range: range.clone(),
        body: body.clone(),
    };
    state.seen.lock().unwrap().push(seen);

    let scripted = state.script.lock().unwrap().get_mut(&path).and_then(VecDeque::pop_front);
    let act = scripted.or_else(|| state.always.lock().unwrap().get(&path).cloned());
    match &act {
        Some(Act::Hang) => std::future::pending::<()>().await,
        Some(Act::Status(status, headers, body)) => {
            let mut response = Response::builder().status(*status);
            for (name, value) in headers {
                response = response.header(*name, value);
            }
            return response.body(full(body.clone())).unwrap();
        }
        Some(Act::Redirect(to)) => {
            return Response::builder().status(307).header("location", to).body(full("")).unwrap();
        }
        Some(Act::Send(bytes)) => {
            let frames = stream::iter([Ok(Frame::data(bytes.clone()))]);
            return Response::builder().body(streamed(frames)).unwrap();
        }
        _ => {}
    }
    if path == "/token" {
        return token(&query, &body, authorization.as_deref());
    }
    let auth = state.auth.lock().unwrap().clone();
    let challenge = match auth {
        Auth::Anonymous => None,
        Auth::Basic if authorization == Some(basic("user", "secret")) => None,
        Auth::Basic => Some("Basic realm=\"fake\"".to_owned()),
        Auth::Bearer if authorization.as_deref() == Some("Bearer good") => None,
        Auth::Bearer => Some(format!(
            "Bearer realm=\"http://{own}/token\",service=\"fake\",scope=\"repository:x:pull\""
        )),
    };
    if let Some(challenge) = challenge.filter(|_| path.starts_with("/v2/")) {
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        let response = Response::builder().status(401).header("www-authenticate", challenge);
        return response.body(full(body)).unwrap();
    }
    if path == "/v2/" {
        return Response::new(full("{}"));
    }
    let content = state.content.lock().unwrap().get(&path).cloned();
    let Some((content_type, content)) = content else {
        let code = if path.contains("/manifests/") { "MANIFEST" } else { "BLOB" };
        let words = format!("{} unknown", code.to_lowercase());
        let error = json!({"errors": [{"code": format!("{code}_UNKNOWN"), "message": words}]});
        return Response::builder().status(404).body(full(error.to_string())).unwrap();
    };
    let total = content.len();
    let start: usize = range
        .filter(|_| !matches!(act, Some(Act::IgnoreRange)))
        .and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
        .unwrap_or(0);
    if start > 0 && start >= total {
        return Response::builder().status(416).body(full("")).unwrap();
    }
    let mut response = Response::builder()
        .status(if start > 0 { 206 } else { 200 })
        .header("content-type", content_type)
        .header("content-length", total - start);
    if start > 0 {
        response = response.header("content-range", format!("bytes {start}-{}/{total}", total - 1));
    }
    let content = content.slice(start..);
    let body = match act {
        Some(Act::Cut(bytes)) => {
            let frames = [Ok(Frame::data(content.slice(..bytes.min(content.len()))))];
            let broken = stream::once(async {
                // What was sent shall arrive first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(io::Error::other("cut off"))
            });
            streamed(stream::iter(frames).chain(broken))
        }
        Some(Act::HangAfter(bytes)) => {
            let frames = [Ok(Frame::data(content.slice(..bytes.min(content.len()))))];
            streamed(stream::iter(frames).chain(stream::pending()))
        }
        _ => full(content),
    };
    response.body(body).unwrap()
}

fn token(query: &str, body: &str, authorization: Option<&str>) -> Response<Body> {
    let good = body.contains("refresh_token=identity")
        || match authorization {
            None => !query.contains("account") && body.is_empty(),
            Some(given) => given == basic("user", "secret"),
        };
    if good {
        return Response::new(full(r#"{"token":"good","expires_in":300}"#));
    }
    let answer = r#"{"details":"incorrect username or password"}"#;
    Response::builder().status(401).body(full(answer)).unwrap()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

fn streamed(
    frames: impl Stream<Item = Result<Frame<Bytes>, io::Error>> + Send + Sync + 'static,
) -> Body {
    BoxBody::new(StreamBody::new(frames))
}
