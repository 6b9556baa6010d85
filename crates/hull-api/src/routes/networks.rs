//! Networks.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::StatusCode;
use hull_engine::EventKind;
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

pub(super) async fn inspect(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    if let Some(text) = parameters.text("verbose")
        && hull_engine::boolean(text).is_none()
    {
        return Err(ApiError::bad_request(format!(
            "invalid value for verbose: {text}: strconv.ParseBool: parsing {text:?}: invalid syntax"
        )));
    }
    if !matches!(parameters.text("scope"), None | Some("local")) {
        return Err(ApiError::new(StatusCode::NOT_FOUND, format!("network {id} not found")));
    }
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
    server.engine.tell_pruned(EventKind::Network, 0);
    let removed = if removed.is_empty() { Value::Null } else { json!(removed) };
    ok(&json!({"NetworksDeleted": removed}))
}

/// What is done with a network; its name may have slashes.
pub(super) async fn post(
    State(server): State<Server>,
    Path(path): Path<String>,
    Json(body): Json,
) -> Answer {
    match path.rsplit_once('/') {
        Some((id, "connect")) => {
            let (container, config) = wire::connect(body)?;
            server.engine.connect_network(id, &container, config).await?;
        }
        Some((id, "disconnect")) => {
            let (container, force) = wire::disconnect(body)?;
            server.engine.disconnect_network(id, &container, force).await?;
        }
        _ => return Err(ApiError::new(StatusCode::NOT_FOUND, "page not found")),
    }
    Ok(StatusCode::OK.into_response())
}
