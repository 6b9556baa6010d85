//! Requests and their responses.

use std::sync::Arc;

use hull_protocol::{Frame, Kind, MAX_PAYLOAD, Reply, Request, Response, RpcError};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::closed::Closed;
use crate::shared::Shared;

/// A request that has been sent.
#[derive(Debug)]
#[must_use = "the response tells whether the request succeeded"]
pub struct Pending {
    shared: Arc<Shared>,
    outcome: Result<oneshot::Receiver<Response>, RequestError>,
}

/// Why a request failed.
#[derive(Debug, Error)]
pub enum RequestError {
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error("cannot write the request")]
    Encode(#[source] serde_json::Error),
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error("the request is larger than {MAX_PAYLOAD} bytes")]
    TooLong,
    #[error("the guest gave an answer that does not fit the question")]
    Unexpected,
}

impl Pending {
    pub(crate) fn send(shared: &Arc<Shared>, request: &Request) -> Self {
        Self { outcome: queue(shared, request, false), shared: shared.clone() }
    }

    pub(crate) fn send_last(shared: &Arc<Shared>, request: &Request) -> Self {
        Self { outcome: queue(shared, request, true), shared: shared.clone() }
    }

    /// Waits for the response. Dropping the future leaves the request running in the guest.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn reply(self) -> Result<Reply, RequestError> {
        match self.outcome?.await {
            Ok(Response::Ok(reply)) => Ok(reply),
            Ok(Response::Error(error)) => Err(error.into()),
            Err(_) => Err(self.shared.reason().into()),
        }
    }

    /// As [`Pending::reply`], for requests whose reply is [`Reply::Done`].
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn done(self) -> Result<(), RequestError> {
        match self.reply().await? {
            Reply::Done => Ok(()),
            _ => Err(RequestError::Unexpected),
        }
    }
}

fn queue(
    shared: &Arc<Shared>,
    request: &Request,
    is_last: bool,
) -> Result<oneshot::Receiver<Response>, RequestError> {
    let payload = serde_json::to_vec(request).map_err(RequestError::Encode)?;
    if payload.len() > MAX_PAYLOAD {
        return Err(RequestError::TooLong);
    }
    let (sender, receiver) = oneshot::channel();
    let mut state = shared.lock();
    if let Some(reason) = &state.closed {
        return Err(reason.clone().into());
    }
    let number = state.next_request();
    state.pending.insert(number, sender);
    // Under the lock, so that requests go out in the order of their numbers.
    let frame = Frame::new(Kind::Request, number, payload);
    match is_last {
        true => shared.send_last(frame),
        false => shared.send(frame),
    }
    Ok(receiver)
}
