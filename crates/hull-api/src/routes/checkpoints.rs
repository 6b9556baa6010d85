//! `/containers/{id}/checkpoints`.

use std::path::PathBuf;

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::StatusCode;
use hull_engine::CheckpointOptions;
use serde_json::{Value, json};

use super::{Answer, no_content, ok};
use crate::body::Json;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;

/// `POST`: `{"CheckpointID": name, "CheckpointDir": path, "Exit": bool}`.
pub(super) async fn create(
    State(server): State<Server>,
    Path(id): Path<String>,
    Json(body): Json,
) -> Answer {
    let text = |key: &str| match &body[key] {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        other => Err(ApiError::bad_request(format!("invalid {key}: {other}"))),
    };
    let options = CheckpointOptions {
        name: text("CheckpointID")?,
        leave_running: !body["Exit"].as_bool().unwrap_or(false),
        dir: Some(text("CheckpointDir")?).filter(|dir| !dir.is_empty()).map(PathBuf::from),
    };
    server.engine.create_checkpoint(&id, options).await?;
    Ok(StatusCode::CREATED.into_response())
}

/// `GET`.
pub(super) async fn list(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let dir = directory(&parameters, "dir");
    let names = server.engine.checkpoints(&id, dir.as_deref()).await?;
    ok(&names.into_iter().map(|name| json!({"Name": name})).collect())
}

/// `DELETE .../{name}`.
pub(super) async fn remove(
    State(server): State<Server>,
    Path((id, name)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let dir = directory(&parameters, "dir");
    server.engine.remove_checkpoint(&id, &name, dir.as_deref()).await?;
    no_content()
}

/// Returns the directory that a request names.
pub(super) fn directory(parameters: &Parameters, key: &str) -> Option<PathBuf> {
    parameters.text(key).filter(|dir| !dir.is_empty()).map(PathBuf::from)
}
