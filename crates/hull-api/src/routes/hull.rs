//! What Docker's API has no words for.

use std::path::Path as FilePath;

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header;
use hull_engine::{ForkOptions, ListOptions, StopOptions};
use serde_json::{Value, json};

use super::{Answer, ok};
use crate::body::Json;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::wire;

/// `GET /hull/boot/{id}`: the console of a container's machine.
pub(super) async fn boot_log(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    let log = server.engine.boot_log(&id).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], log).into_response())
}

/// `GET /hull/doctor`: checks of the host.
pub(super) async fn doctor(State(server): State<Server>) -> Answer {
    ok(&server.engine.doctor().await.iter().map(wire::check).collect())
}

/// `POST /hull/fork/{id}`: `{"Count": n, "Name": "...", "PublishSockets": [..]}`, all optional; answers
/// with the ids of containers that go on where this one is, when they run.
pub(super) async fn fork(
    State(server): State<Server>,
    Path(id): Path<String>,
    Json(body): Json,
) -> Answer {
    let count = match &body["Count"] {
        Value::Null => 1,
        count => count
            .as_u64()
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| ApiError::bad_request(format!("invalid Count: {count}")))?,
    };
    let name = match &body["Name"] {
        Value::Null => None,
        Value::String(name) => Some(name.clone()).filter(|name| !name.is_empty()),
        other => return Err(ApiError::bad_request(format!("invalid Name: {other}"))),
    };
    let publish_sockets = match &body["PublishSockets"] {
        Value::Null => Vec::new(),
        sockets => serde_json::from_value(sockets.clone())
            .map_err(|error| ApiError::bad_request(format!("invalid PublishSockets: {error}")))?,
    };
    let made = server.engine.fork(&id, ForkOptions { count, name, publish_sockets }).await?;
    // All have the same.
    let warnings = made.first().map(|created| created.warnings.clone()).unwrap_or_default();
    let ids: Vec<_> = made.into_iter().map(|created| created.id).collect();
    ok(&json!({"Ids": ids, "Warnings": warnings}))
}

/// `GET /hull/kernel`: the kernel of new containers.
pub(super) async fn kernel(State(server): State<Server>) -> Answer {
    ok(&wire::kernel(&server.engine.kernel().await?))
}

/// `PUT /hull/kernel`: `{"Path": "/..."}`, or `{"Path": null}` for the one that Hull came with.
pub(super) async fn set_kernel(State(server): State<Server>, Json(body): Json) -> Answer {
    let path = match &body["Path"] {
        Value::Null => None,
        Value::String(path) if path.starts_with('/') => Some(FilePath::new(path)),
        other => {
            return Err(ApiError::bad_request(format!("Path must be absolute: {other}")));
        }
    };
    ok(&wire::kernel(&server.engine.set_kernel(path).await?))
}

/// `POST /hull/stop`: ends the daemon; stops the containers first unless `keep` is set.
pub(super) async fn stop(State(server): State<Server>, parameters: Parameters) -> Answer {
    let mut stopped = Vec::new();
    if !parameters.switch("keep") {
        let engine = &server.engine;
        engine.shut_down();
        let running = engine.list(ListOptions::default()).await?;
        let mut stops: FuturesUnordered<_> = running
            .into_iter()
            .map(|container| async move {
                let result = engine.stop(&container.id, StopOptions::default()).await;
                (container.id, result)
            })
            .collect();
        while let Some((id, result)) = stops.next().await {
            match result {
                Ok(()) => stopped.push(id),
                Err(error) => tracing::warn!("cannot stop {id}: {error}"),
            }
        }
    }
    server.stop.cancel();
    ok(&json!({"Stopped": stopped}))
}
