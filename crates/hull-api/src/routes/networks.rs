//! Networks.

use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, json, no_content, ok};
use crate::body::Json;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::wire;

pub(super) async fn list(State(server): State<Server>, parameters: Parameters) -> Answer {
    let networks = server.engine.networks(&parameters.filters()?)?;
    // Docker's list has no containers.
    let shown = networks.into_iter().map(|mut network| {
        network.containers.clear();
        wire::network(&network)
    });
    ok(&shown.collect())
}

pub(super) async fn inspect(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    ok(&wire::network(&server.engine.network(&id)?))
}

pub(super) async fn create(State(server): State<Server>, Json(body): Json) -> Answer {
    let id = server.engine.create_network(wire::create_network(body)?)?;
    Ok(json(StatusCode::CREATED, &json!({"Id": id, "Warning": ""})))
}

pub(super) async fn remove(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    server.engine.remove_network(&id)?;
    no_content()
}

pub(super) async fn prune(State(server): State<Server>, parameters: Parameters) -> Answer {
    let removed = server.engine.prune_networks(&parameters.filters()?)?;
    let removed = if removed.is_empty() { Value::Null } else { json!(removed) };
    ok(&json!({"NetworksDeleted": removed}))
}

pub(super) async fn connect(
    State(server): State<Server>,
    Path(id): Path<String>,
    Json(body): Json,
) -> Answer {
    let (container, config) = wire::connect(body)?;
    server.engine.connect_network(&id, &container, config).await?;
    Ok(json(StatusCode::OK, &Value::Null))
}

pub(super) async fn disconnect(
    State(server): State<Server>,
    Path(id): Path<String>,
    Json(body): Json,
) -> Answer {
    let container = body["Container"].as_str();
    let container = container.ok_or_else(|| ApiError::bad_request("no container is named"))?;
    let force = body["Force"].as_bool().unwrap_or_default();
    server.engine.disconnect_network(&id, container, force).await?;
    Ok(json(StatusCode::OK, &Value::Null))
}
