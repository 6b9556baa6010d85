//! Templates that machines are forked from, and what there is to monitor.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::header;
use serde_json::json;

use super::{Answer, ok};
use crate::body::Json;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::wire;

/// `GET /metrics`: Prometheus' text format.
pub(super) async fn metrics(State(server): State<Server>) -> Answer {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, server.engine.metrics().await).into_response())
}

/// `GET /hull/templates`.
pub(super) async fn list(State(server): State<Server>) -> Answer {
    ok(&server.engine.templates().await?.iter().map(wire::template).collect())
}

/// `POST /hull/templates`: `{"Memory": bytes, "NanoCpus": n}`, both optional; answers when the
/// template is there.
pub(super) async fn build(State(server): State<Server>, Json(body): Json) -> Answer {
    let shape = wire::template_shape(&body)?;
    ok(&wire::template(&server.engine.build_template(shape).await?))
}

/// `DELETE /hull/templates/{key}`: the beginning of a key is enough if it is of one only.
pub(super) async fn remove(State(server): State<Server>, Path(key): Path<String>) -> Answer {
    let removed = server.engine.remove_template(&key).await?;
    ok(&json!({"Deleted": removed}))
}

/// `POST /hull/templates/prune`: those that nothing would be started from; all with `all`.
pub(super) async fn prune(State(server): State<Server>, parameters: Parameters) -> Answer {
    if let Some(key) = parameters.filters()?.0.keys().next() {
        return Err(ApiError::bad_request(format!("invalid filter '{key}'")));
    }
    let pruned = server.engine.prune_templates(parameters.switch("all")).await?;
    ok(&json!({"TemplatesDeleted": pruned.keys, "SpaceReclaimed": pruned.reclaimed}))
}
