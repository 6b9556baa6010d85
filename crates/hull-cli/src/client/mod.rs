//! The daemon as the commands see it: Docker's API over its socket.

mod autostart;
mod broken;
mod error;
mod hijack;
mod stdcopy;

use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hull_socket::Address;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

pub(crate) use autostart::{READY, Started, make_home, start};
pub(crate) use error::ClientError;
pub(crate) use hijack::Hijacked;
pub(crate) use stdcopy::{Demultiplexer, Piece, Target};

use self::broken::Broken;
use crate::context::Context;

/// Speaks to a daemon. Every request has a connection of its own, which costs little on a unix
/// socket and lets requests that last (attach, wait) stand beside others.
#[derive(Clone, Debug)]
pub(crate) struct Client<'a> {
    context: &'a Context,
}

/// Body of a request: bytes, or a stream of them.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

impl<'a> Client<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self { context }
    }

    pub(crate) fn context(&self) -> &'a Context {
        self.context
    }

    /// Asks and returns the JSON of the answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.json(Method::GET, path, None).await
    }

    /// Asks and returns the bytes of the answer.
    pub(crate) async fn get_bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        collect(self.send(Method::GET, path, None).await?).await
    }

    /// Asks for something to be done, and returns the JSON of the answer; null if it has none.
    pub(crate) async fn post(&self, path: &str, body: Option<Value>) -> Result<Value, ClientError> {
        self.json(Method::POST, path, body).await
    }

    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ClientError> {
        let bytes = collect(self.send(method, path, body).await?).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(ClientError::Json)
    }

    /// Sends a request and returns the answer once its headers are here.
    ///
    /// # Errors
    /// No daemon, or an answer that is an error.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response<Incoming>, ClientError> {
        self.ask(|| {
            let request = request(method.clone(), path);
            match &body {
                Some(value) => request
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(full(value.to_string())),
                None => request.body(full("")),
            }
        })
        .await
    }

    /// Sends the request that `make` makes. One that reached a daemon which was just ending is sent
    /// again, to the next daemon: any that was not read, and a question that was not answered.
    ///
    /// # Errors
    /// No daemon, or an answer that is an error; a daemon ended that may have done what it was
    /// asked to do.
    pub(crate) async fn ask(
        &self,
        make: impl Fn() -> Result<Request<Body>, http::Error>,
    ) -> Result<Response<Incoming>, ClientError> {
        let begin = Instant::now();
        let mut questions = 0;
        loop {
            let request = make().map_err(ClientError::Request)?;
            let is_question = request.method().is_safe();
            let error = match self.exchange(request).await {
                Err(error) => error,
                answer => return answer,
            };
            match Broken::of(&error) {
                Some(Broken::Unread) if begin.elapsed() < ENDING => {}
                // A daemon that dies of a question would die of it for ever.
                Some(Broken::Unanswered) if is_question && questions < 2 => questions += 1,
                _ => return Err(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends a request with any headers and body, once.
    pub(crate) async fn exchange(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::Http)?;
        tokio::spawn(Box::pin(connection.with_upgrades()) as Pin<Box<_>>);
        let response = sender.send_request(request).await.map_err(ClientError::Http)?;
        checked(response).await
    }

    /// Connects to the daemon; starts one if none is there and none was named.
    async fn connect(&self) -> Result<UnixStream, ClientError> {
        match connect_async(&self.context.socket).await {
            Ok(stream) => Ok(stream),
            Err(error) if self.context.explicit || !absent(&error) => Err(self.unreachable(error)),
            Err(_) => {
                autostart::start(self.context).await?;
                let connected = connect_async(&self.context.socket).await;
                connected.map_err(|error| self.unreachable(error))
            }
        }
    }

    fn unreachable(&self, source: std::io::Error) -> ClientError {
        ClientError::Unreachable { socket: self.context.socket.clone(), source }
    }
}

/// Begins a request; `path` is without the version.
pub(crate) fn request(method: Method, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("/v{}{path}", hull_api::VERSION))
        .header(header::HOST, "hull")
        .header(header::USER_AGENT, concat!("Hull-Client/", env!("CARGO_PKG_VERSION")))
}

/// A body of bytes that are here.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Reads the body of an answer.
pub(crate) fn body(response: Response<Incoming>) -> impl tokio::io::AsyncRead + Send + Unpin {
    let bytes = response.into_body().into_data_stream().map_err(std::io::Error::other);
    tokio_util::io::StreamReader::new(bytes)
}

/// Percent-encodes a part of a path or query.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b':' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Connects to a socket, however long its path.
pub(crate) fn connect(socket: &Path) -> std::io::Result<std::os::unix::net::UnixStream> {
    std::os::unix::net::UnixStream::connect(Address::of(socket)?.path())
}

async fn connect_async(socket: &Path) -> std::io::Result<UnixStream> {
    let address = Address::of(socket)?;
    UnixStream::connect(address.path()).await
}

/// True if a connection failed because there is no daemon.
pub(crate) fn absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(error.kind(), ConnectionRefused | NotFound)
}

async fn checked(response: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
    let status = response.status();
    if status.is_success()
        || status == StatusCode::SWITCHING_PROTOCOLS
        || status == StatusCode::NOT_MODIFIED
    {
        return Ok(response);
    }
    let body = collect(response).await?;
    Err(ClientError::answer(status, &body))
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = response.into_body().collect().await.map_err(ClientError::Http)?;
    Ok(body.to_bytes())
}

/// Longer than a process takes to end: until then its socket may accept connections.
const ENDING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded() {
        assert_eq!(encode("a/b:1"), "a/b:1");
        assert_eq!(encode("a b?&#%\u{e9}"), "a%20b%3F%26%23%25%C3%A9");
    }
}
