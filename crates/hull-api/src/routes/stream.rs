//! Bodies that are written while something goes on.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::Stream;
use http::header;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Where a task writes the pieces of a body.
#[derive(Clone, Debug)]
pub(super) struct Sink(mpsc::Sender<Bytes>);

impl Sink {
    /// Writes a piece; false if the client is gone.
    pub(super) async fn send(&self, piece: impl Into<Bytes>) -> bool {
        self.0.send(piece.into()).await.is_ok()
    }

    /// Writes a JSON object and what clients find its end by.
    pub(super) async fn json(&self, value: &Value) -> bool {
        self.send(format!("{value}\r\n")).await
    }
}

/// Answers with a body that `write` writes. When the client goes away, `write` is dropped.
pub(super) fn stream<F>(kind: &'static str, write: impl FnOnce(Sink) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(PIECES);
    let task = tokio::spawn(write(Sink(sender)));
    let body = Body::from_stream(Pieces { receiver, task: task.abort_handle() });
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    task: AbortHandle,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|piece| piece.map(Ok))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const PIECES: usize = 32;
