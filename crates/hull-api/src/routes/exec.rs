//! Execs.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::containers::size;
use super::{Answer, json, ok};
use crate::body::Json;
use crate::connection::Hijacker;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::streams::Handover;
use crate::version::Version;
use crate::wire;

pub(super) async fn create(
    State(server): State<Server>,
    Path(id): Path<String>,
    Json(body): Json,
) -> Answer {
    let exec = server.engine.exec_create(&id, wire::exec_config(body)?).await?;
    Ok(json(StatusCode::CREATED, &json!({"Id": exec})))
}

pub(super) async fn start(
    State(server): State<Server>,
    Path(id): Path<String>,
    Extension(hijacker): Extension<Hijacker>,
    Extension(version): Extension<Version>,
    headers: HeaderMap,
    Json(body): Json,
) -> Answer {
    let options = wire::exec_start(body)?;
    let handover = Handover::of(&headers, version);
    let detach = options.detach;
    match server.engine.exec_start(&id, options).await {
        Ok(Some(attached)) => Ok(handover.connect(hijacker, attached).await),
        Ok(None) => Ok(StatusCode::OK.into_response()),
        // As dockerd: an attached client reads on its stream why the program could not be
        // executed, and finds the exit code in the exec's description.
        Err(error) if !detach && error.exit_code().is_some() => {
            let tty = server.engine.exec_inspect(&id).await?.config.tty;
            let message = ApiError::in_stream(error) + "\r\n";
            Ok(handover.say(hijacker, tty, message).await)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn resize(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let (rows, columns) = size(&parameters)?;
    server.engine.exec_resize(&id, rows, columns).await?;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn inspect(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    ok(&wire::exec_inspect(&server.engine.exec_inspect(&id).await?))
}
