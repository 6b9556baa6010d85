//! Volumes.

use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use hull_engine::EventKind;
use serde_json::{Value, json};

use super::{Answer, json as answer, no_content, ok};
use crate::body::Json;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::version::Version;
use crate::wire;

/// `GET /volumes`.
pub(super) async fn list(State(server): State<Server>, parameters: Parameters) -> Answer {
    let volumes = server.engine.volumes(&parameters.filters()?)?;
    let volumes: Vec<Value> = volumes.iter().map(wire::volume).collect();
    ok(&json!({"Volumes": volumes, "Warnings": null}))
}

/// `POST /volumes/create`.
pub(super) async fn create(State(server): State<Server>, Json(body): Json) -> Answer {
    if body.is_null() {
        return Err(ApiError::bad_request("invalid JSON: got EOF while reading request body"));
    }
    let volume = server.engine.create_volume(wire::create_volume(body)?).await?;
    Ok(answer(StatusCode::CREATED, &wire::volume(&volume)))
}

/// `GET /volumes/{name}`.
pub(super) async fn inspect(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    ok(&wire::volume(&server.engine.volume(&name)?))
}

/// `DELETE /volumes/{name}`.
pub(super) async fn remove(
    State(server): State<Server>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Answer {
    server.engine.remove_volume(&name, parameters.switch("force")).await?;
    no_content()
}

/// `POST /volumes/prune`.
pub(super) async fn prune(
    State(server): State<Server>,
    Extension(version): Extension<Version>,
    parameters: Parameters,
) -> Answer {
    let mut filters = parameters.filters()?;
    if version < Version::new(1, 42) {
        // Older clients mean all volumes, and have no filter that says so.
        if filters.contains("all") {
            return Err(ApiError::bad_request("invalid filter 'all'"));
        }
        filters.add("all", "true");
    }
    let pruned = server.engine.prune_volumes(&filters).await?;
    server.engine.tell_pruned(EventKind::Volume, pruned.reclaimed);
    let names = if pruned.names.is_empty() { Value::Null } else { json!(pruned.names) };
    ok(&json!({"VolumesDeleted": names, "SpaceReclaimed": pruned.reclaimed}))
}
