//! Accepts connections and hands their requests to the routes.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse as _;
use http::{HeaderValue, Request, Response};
use hull_engine::Engine;
use hyper::body::Incoming;
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use crate::{connection, routes, version};

/// What the routes share.
#[derive(Clone, Debug)]
pub struct Server {
    /// What is served.
    pub engine: Engine,
    /// Cancelled when the server is to end: by the caller, or by a client's request.
    pub stop: CancellationToken,
}

/// Serves the API on `listener` until `server.stop` is cancelled. Requests under way then have
/// five seconds; streams (attach, logs, events) are cut at the end of them.
pub async fn serve(listener: UnixListener, server: Server) {
    let stop = server.stop.clone();
    let router = routes::router(server);
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, mostly: others must end before there are new ones.
                    tracing::error!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        while connections.try_join_next().is_some() {}
        let router = router.clone();
        let stop = stop.clone();
        connections.spawn(async move {
            let answer = move |request| answer(router.clone(), request);
            connection::serve(stream, answer, stop.cancelled_owned()).await;
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::info!("cut {} connections that did not end", connections.len());
    }
}

fn answer(
    mut router: axum::Router,
    mut request: Request<Incoming>,
) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
    Box::pin(async move {
        tracing::debug!("{} {}", request.method(), request.uri());
        let mut response = match version::strip(request.uri()) {
            Ok((uri, version)) => {
                *request.uri_mut() = uri;
                request.extensions_mut().insert(version);
                // A router never fails: its error type has no value.
                match router.call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            Err(error) => error.into_response(),
        };
        let headers = response.headers_mut();
        headers.insert("Api-Version", HeaderValue::from_static(version::VERSION));
        headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
        headers.insert("Ostype", HeaderValue::from_static("linux"));
        headers.insert("Server", HeaderValue::from_static(SOFTWARE));
        response
    })
}

const GRACE: Duration = Duration::from_secs(5);
const SOFTWARE: &str = concat!("Hull/", env!("CARGO_PKG_VERSION"), " (linux)");
