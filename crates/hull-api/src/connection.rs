//! One client's connection, and how a handler takes it over.
//!
//! Docker's `attach` and `exec` turn an HTTP connection into a raw one in both directions. Clients
//! that ask with `Upgrade: tcp` get status 101, older ones 200 and the same raw connection. The
//! second is no HTTP, so the connection is taken from under the HTTP server in both cases.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

/// Takes over the connection of a request. In the extensions of every request.
#[derive(Clone)]
pub(crate) struct Hijacker(Arc<Mutex<Option<oneshot::Sender<Takeover>>>>);

/// What happens with a connection that was taken over: gets the stream, and what the client has
/// already sent after its request.
type Takeover =
    Box<dyn FnOnce(UnixStream, Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

impl Hijacker {
    /// Takes the connection over. The handler that called this is dropped with its response.
    pub(crate) async fn take<F>(&self, then: impl FnOnce(UnixStream, Bytes) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender
            && sender
                .send(Box::new(|stream, early| Box::pin(then(stream, early))))
                .is_ok()
        {
            std::future::pending::<()>().await;
        }
    }
}

/// Serves the requests of one connection until it ends, is taken over or `stop` is done; then a
/// request under way is still answered.
pub(crate) async fn serve<S, B>(stream: UnixStream, service: S, stop: impl Future<Output = ()>)
where
    S: Fn(http::Request<Incoming>) -> Pin<Box<dyn Future<Output = http::Response<B>> + Send>>
        + Unpin,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, mut taken) = oneshot::channel();
    let hijacker = Hijacker(Arc::new(Mutex::new(Some(sender))));
    let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(hijacker.clone());
        let response = service(request);
        Box::pin(async move { Ok::<_, std::convert::Infallible>(response.await) })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut stop = std::pin::pin!(stop);
    let mut stopping = false;
    let takeover = loop {
        tokio::select! {
            biased;
            Ok(takeover) = &mut taken => break takeover,
            ended = std::future::poll_fn(|context| connection.poll_without_shutdown(context)) => {
                if let Err(error) = ended {
                    tracing::debug!("connection ended: {error}");
                }
                return;
            }
            () = &mut stop, if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    takeover(parts.io.into_inner(), parts.read_buf).await;
}
