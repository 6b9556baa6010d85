//! The routes, one file per group.

mod archive;
mod attach;
mod checkpoints;
mod containers;
mod events;
mod exec;
mod hull;
mod image_archive;
mod images;
mod logs;
mod networks;
mod pull;
mod stats;
mod stream;
mod system;
mod templates;
mod volumes;
mod wait;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use futures_util::TryStreamExt as _;
use http::StatusCode;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::error::ApiError;
use crate::server::Server;

/// What a handler answers.
type Answer = Result<Response, ApiError>;

/// Returns all routes, without the version in front.
pub(crate) fn router(server: Server) -> Router {
    Router::new()
        .route("/_ping", get(system::ping).head(system::ping))
        .route("/version", get(system::version))
        .route("/info", get(system::info))
        .route("/events", get(events::events))
        .route("/system/df", get(system::disk_usage))
        .route("/auth", post(system::auth))
        .route("/containers/json", get(containers::list))
        .route("/containers/create", post(containers::create))
        .route("/containers/prune", post(containers::prune))
        .route("/containers/{id}", delete(containers::remove))
        .route("/containers/{id}/checkpoints", get(checkpoints::list).post(checkpoints::create))
        .route("/containers/{id}/checkpoints/{name}", delete(checkpoints::remove))
        .route("/containers/{id}/json", get(containers::inspect))
        .route("/containers/{id}/start", post(containers::start))
        .route("/containers/{id}/stop", post(containers::stop))
        .route("/containers/{id}/restart", post(containers::restart))
        .route("/containers/{id}/kill", post(containers::kill))
        .route("/containers/{id}/pause", post(containers::pause))
        .route("/containers/{id}/unpause", post(containers::unpause))
        .route("/containers/{id}/update", post(containers::update))
        .route("/containers/{id}/rename", post(containers::rename))
        .route("/containers/{id}/resize", post(containers::resize))
        .route("/containers/{id}/top", get(containers::top))
        .route("/containers/{id}/stats", get(stats::stats))
        .route("/containers/{id}/wait", post(wait::wait))
        .route("/containers/{id}/attach", post(attach::attach))
        .route("/containers/{id}/logs", get(logs::logs))
        .route("/containers/{id}/exec", post(exec::create))
        .route("/containers/{id}/archive", get(archive::get).head(archive::head).put(archive::put))
        .route("/containers/{id}/export", get(archive::export))
        .route("/containers/{id}/changes", get(archive::changes))
        .route("/exec/{id}/start", post(exec::start))
        .route("/exec/{id}/resize", post(exec::resize))
        .route("/exec/{id}/json", get(exec::inspect))
        .route("/images/json", get(images::list))
        .route("/images/create", post(pull::create))
        .route("/images/load", post(pull::load))
        .route("/images/get", get(image_archive::save))
        .route("/commit", post(image_archive::commit))
        .route("/images/prune", post(images::prune))
        .route("/images/{*name}", get(images::get).post(images::post).delete(images::remove))
        .route("/networks", get(networks::list))
        .route("/networks/", get(networks::list))
        .route("/networks/create", post(networks::create))
        .route("/networks/prune", post(networks::prune))
        .route(
            "/networks/{*id}",
            get(networks::inspect).delete(networks::remove).post(networks::post),
        )
        .route("/volumes", get(volumes::list))
        .route("/volumes/create", post(volumes::create))
        .route("/volumes/prune", post(volumes::prune))
        .route("/volumes/{name}", get(volumes::inspect).delete(volumes::remove))
        .route("/hull/boot/{id}", get(hull::boot_log))
        .route("/hull/doctor", get(hull::doctor))
        .route("/hull/fork/{id}", post(hull::fork))
        .route("/hull/kernel", get(hull::kernel).put(hull::set_kernel))
        .route("/hull/stop", post(hull::stop))
        .route("/hull/templates", get(templates::list).post(templates::build))
        .route("/hull/templates/prune", post(templates::prune))
        .route("/hull/templates/{key}", delete(templates::remove))
        .route("/metrics", get(templates::metrics))
        .fallback(|| async { ApiError::page_not_found() })
        // Docker has one answer for a path that there is not and a method that it has not.
        .method_not_allowed_fallback(|| async { ApiError::page_not_found() })
        // Bodies are limited where they are read: an archive has no limit.
        .layer(DefaultBodyLimit::disable())
        .with_state(server)
}

/// Reads the body of a request.
fn read(body: Body) -> impl AsyncRead + Send {
    StreamReader::new(body.into_data_stream().map_err(std::io::Error::other))
}

fn json(status: StatusCode, value: &Value) -> Response {
    let kind = [(http::header::CONTENT_TYPE, "application/json")];
    (status, kind, format!("{value}\n")).into_response()
}

fn ok(value: &Value) -> Answer {
    Ok(json(StatusCode::OK, value))
}

fn no_content() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}
