//! A client attached to a container that runs or is about to.

use http::Method;
use serde_json::Value;

use crate::client::{Client, ClientError, Hijacked, encode};
use crate::error::Failure;
use crate::options::Attach;
use crate::output;
use crate::terminal::{DetachKeys, End, Forwarded, RawMode, Session, ends_program, follow_size};

/// How to attach.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) id: String,
    pub(super) streams: Attach,
    pub(super) tty: bool,
    /// Docker's notation; empty: `ctrl-p,ctrl-q`.
    pub(super) detach_keys: String,
    /// Pass signals on to the container.
    pub(super) sig_proxy: bool,
}

impl Attachment {
    /// Connects to the container's streams.
    pub(super) async fn connect(&self, client: &Client<'_>) -> Result<Hijacked, ClientError> {
        let Attach { stdin, stdout, stderr, .. } = self.streams;
        let mut path = format!(
            "/containers/{}/attach?stream=1&stdin={}&stdout={}&stderr={}",
            encode(&self.id),
            u8::from(stdin),
            u8::from(stdout),
            u8::from(stderr)
        );
        if !self.detach_keys.is_empty() {
            path.push_str(&format!("&detachKeys={}", encode(&self.detach_keys)));
        }
        client.hijack(&path, None).await
    }

    /// Moves bytes and signals. `begin` is done first, with signals held back until it is over: the
    /// start of the container.
    pub(super) async fn run(
        &self,
        client: &Client<'_>,
        hijacked: Hijacked,
        begin: impl Future<Output = Result<(), Failure>>,
    ) -> Result<End, Failure> {
        let raw = (self.streams.stdin && self.tty).then(RawMode::enter).flatten();
        let keys = match (&raw, self.detach_keys.as_str()) {
            (None, _) => None,
            (Some(_), "") => Some(DetachKeys::default()),
            // The daemon has refused keys that make no sense.
            (Some(_), keys) => Some(DetachKeys::parse(keys).map_err(Failure::new)?),
        };
        let session = Session { stdin: self.streams.stdin, tty: self.tty, detach_keys: keys };
        let mut signals = self.sig_proxy.then(Forwarded::catch);
        let path = format!("/containers/{}", encode(&self.id));
        // A container that cannot start closes the connection, too: which of the two is seen first
        // is chance, so the end of the session waits for the outcome of the start.
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let session = async {
            let end = session.run(hijacked).await;
            match has_begun.await {
                Ok(()) => end,
                // The failure is what `attend` returns.
                Err(_) => std::future::pending().await,
            }
        };
        let attend = async {
            begin.await?;
            let _ = begun.send(());
            let size = async {
                if self.tty {
                    follow_size(client, &path).await;
                }
                std::future::pending::<()>().await;
            };
            let forward = async {
                loop {
                    let number = match &mut signals {
                        Some(signals) => signals.next().await,
                        None => std::future::pending().await,
                    };
                    // A container that has ended meanwhile gets none.
                    let _ = client.post(&format!("{path}/kill?signal={number}"), None).await;
                }
            };
            tokio::join!(size, forward);
            Ok(())
        };
        let leave = async {
            if self.sig_proxy {
                return std::future::pending().await;
            }
            ends_program().await
        };
        tokio::select! {
            biased;
            Err(failure) = attend => Err(failure),
            end = session => end.map_err(|failure| match failure {
                // Docker's client passes this signal on as any other, and sees the error instead.
                Failure::Code(code) if code == SIGPIPE && self.sig_proxy && !self.tty => {
                    Failure::new("write /dev/stdout: broken pipe")
                }
                failure => failure,
            }),
            number = leave => Err(Failure::Code(128 + u8::try_from(number).unwrap_or(0))),
        }
        // The terminal is given back here, on every way out.
    }
}

/// Exit code of a program that a reader has left alone.
const SIGPIPE: u8 = 141;

/// A wait that the daemon has registered.
pub(super) struct Wait(http::Response<hyper::body::Incoming>);

impl Wait {
    /// Registers a wait: what happens after this returns counts.
    pub(super) async fn register(
        client: &Client<'_>,
        id: &str,
        condition: &str,
    ) -> Result<Self, ClientError> {
        let path = format!("/containers/{}/wait?condition={condition}", encode(id));
        client.send(Method::POST, &path, None).await.map(Self)
    }

    /// Waits, and returns the exit code of the container.
    pub(super) async fn code(self) -> Result<u8, Failure> {
        use http_body_util::BodyExt as _;
        let body = self.0.into_body().collect().await;
        let body = body.map_err(|error| Failure::Message {
            text: format!(
                "error waiting for container: {}",
                output::chain(&ClientError::Http(error))
            ),
            // A daemon that ends takes no container with it.
            hint: Some("the container may run on: see `hull ps`".into()),
            code: 125,
        })?;
        let status: Value = serde_json::from_slice(&body.to_bytes()).map_err(ClientError::Json)?;
        if let Some(message) = status["Error"]["Message"].as_str().filter(|text| !text.is_empty()) {
            output::error(&format!("Error waiting for container: {message}"));
            return Ok(125);
        }
        // Exit codes have 8 bits.
        Ok((status["StatusCode"].as_i64().unwrap_or(0) & 0xff) as u8)
    }
}
