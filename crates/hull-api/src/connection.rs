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
            && sender.send(Box::new(|stream, early| Box::pin(then(stream, early)))).is_ok()
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

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A client that sends its input right behind the request, without waiting for the answer.
    #[tokio::test]
    async fn takes_over_with_what_was_sent_early() {
        let (mut client, server) = UnixStream::pair().unwrap();
        let service = |request: http::Request<Incoming>| {
            let hijacker = request.extensions().get::<Hijacker>().cloned();
            Box::pin(async move {
                let echo = |mut stream: UnixStream, early: Bytes| async move {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    stream.write_all(&early).await.unwrap();
                    let mut rest = Vec::new();
                    stream.read_to_end(&mut rest).await.unwrap();
                    stream.write_all(&rest).await.unwrap();
                };
                hijacker.unwrap().take(echo).await;
                http::Response::new(Empty::<Bytes>::new())
            }) as Pin<Box<dyn Future<Output = _> + Send>>
        };
        let serving = tokio::spawn(serve(server, service, std::future::pending()));
        client
            .write_all(b"POST /attach HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nearly ")
            .await
            .unwrap();
        let mut head = [0; 19];
        client.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK\r\n\r\n");
        client.write_all(b"and late").await.unwrap();
        client.shutdown().await.unwrap();
        let mut echoed = String::new();
        client.read_to_string(&mut echoed).await.unwrap();
        assert_eq!(echoed, "early and late");
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn ends_an_idle_connection_when_asked_to() {
        let (mut client, server) = UnixStream::pair().unwrap();
        let service = |_: http::Request<Incoming>| {
            Box::pin(async { http::Response::new(Empty::<Bytes>::new()) })
                as Pin<Box<dyn Future<Output = _> + Send>>
        };
        serve(server, service, std::future::ready(())).await;
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
