//! `POST /containers/{id}/attach`.

use axum::Extension;
use axum::extract::{Path, State};
use http::HeaderMap;
use hull_engine::AttachOptions;

use super::Answer;
use crate::connection::Hijacker;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::streams::Handover;
use crate::version::Version;

pub(super) async fn attach(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
    Extension(hijacker): Extension<Hijacker>,
    Extension(version): Extension<Version>,
    headers: HeaderMap,
) -> Answer {
    let options = AttachOptions {
        stdin: parameters.switch("stdin"),
        stdout: parameters.switch("stdout"),
        stderr: parameters.switch("stderr"),
        logs: parameters.switch("logs"),
        stream: parameters.switch("stream"),
        detach_keys: parameters.text("detachKeys").map(str::to_owned),
    };
    let attached = server.engine.attach(&id, options).await?;
    Ok(Handover::of(&headers, version).connect(hijacker, attached).await)
}
