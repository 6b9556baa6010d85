//! Files of containers: `docker cp`, `export` and `diff`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use hull_engine::{ChangeKind, CopyInOptions, FileStream, PathStat};
use serde_json::{Value, json};

use super::{Answer, ok};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::wire;

/// `HEAD /containers/{id}/archive`: describes a path.
pub(super) async fn head(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let stat = server.engine.stat_path(&id, path(&parameters)?).await?;
    Ok((StatusCode::OK, [(PATH_STAT, describe(&stat)?)]).into_response())
}

/// `GET /containers/{id}/archive`: reads a path.
pub(super) async fn get(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let (stat, files) = server.engine.copy_out(&id, path(&parameters)?).await?;
    let headers = [(PATH_STAT, describe(&stat)?), (header::CONTENT_TYPE.as_str(), TAR)];
    Ok((headers, body(files)).into_response())
}

/// `PUT /containers/{id}/archive`: extracts an archive.
pub(super) async fn put(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
    body: Body,
) -> Answer {
    let options = CopyInOptions {
        no_overwrite_dir_non_dir: parameters.switch("noOverwriteDirNonDir"),
        copy_uid_gid: parameters.switch("copyUIDGID"),
    };
    let archive = Box::pin(super::read(body));
    server.engine.copy_in(&id, path(&parameters)?, options, archive).await?;
    Ok(StatusCode::OK.into_response())
}

/// `GET /containers/{id}/export`.
pub(super) async fn export(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    let files = server.engine.export(&id).await?;
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
    Ok((headers, body(files)).into_response())
}

/// `GET /containers/{id}/changes`.
pub(super) async fn changes(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    let changes = server.engine.changes(&id).await?;
    if changes.is_empty() {
        return ok(&Value::Null);
    }
    let number = |kind| match kind {
        ChangeKind::Modified => 0,
        ChangeKind::Added => 1,
        ChangeKind::Deleted => 2,
    };
    let changes = changes.iter();
    ok(&changes.map(|it| json!({"Path": it.path, "Kind": number(it.kind)})).collect())
}

fn path(parameters: &Parameters) -> Result<&str, ApiError> {
    let path = parameters.text("path");
    path.ok_or_else(|| ApiError::bad_request("bad parameter: path cannot be empty"))
}

fn describe(stat: &PathStat) -> Result<HeaderValue, ApiError> {
    let encoded = BASE64_STANDARD.encode(wire::path_stat(stat).to_string());
    HeaderValue::from_str(&encoded).map_err(|_| ApiError::bad_request("no such header"))
}

/// A body that breaks off if not all can be read: the client then knows that it is not whole.
fn body(files: FileStream) -> Body {
    Body::from_stream(stream::try_unfold(files, async |mut files| {
        let piece: Option<Bytes> = files.next().await.inspect_err(|error| {
            tracing::warn!(%error, "an archive breaks off");
        })?;
        Ok::<_, hull_engine::Error>(piece.map(|piece| (piece, files)))
    }))
}

const PATH_STAT: &str = "x-docker-container-path-stat";
const TAR: HeaderValue = HeaderValue::from_static("application/x-tar");
