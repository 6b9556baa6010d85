//! The engine itself.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, header};
use hull_engine::image::ImageListOptions;
use hull_engine::{Filters, ListOptions, Summary};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, ok};
use crate::body::Json;
use crate::error::ApiError;
use crate::server::Server;
use crate::version::Version;
use crate::wire;

pub(super) async fn ping(method: Method) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::PRAGMA, "no-cache"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
    ];
    // No builder yet: an empty version tells clients not to look for one.
    let builder = [("Builder-Version", ""), ("Swarm", "inactive")];
    let body = if method == Method::HEAD { "" } else { "OK" };
    (headers, builder, body).into_response()
}

pub(super) async fn version(State(server): State<Server>) -> Answer {
    ok(&wire::version(&server.engine.version().await))
}

pub(super) async fn info(State(server): State<Server>) -> Answer {
    ok(&wire::info(&server.engine.info().await?, Timestamp::now()))
}

/// `GET /system/df`.
pub(super) async fn disk_usage(
    State(server): State<Server>,
    axum::Extension(version): axum::Extension<Version>,
) -> Answer {
    let options = ListOptions { all: true, size: true, ..ListOptions::default() };
    let containers = server.engine.list(options).await?;
    let images = server.engine.images(ImageListOptions::default()).await?;
    let now = Timestamp::now();
    let shown: Vec<Value> = images
        .iter()
        .map(|image| {
            let mut value = wire::image_summary(image, version);
            value["Containers"] = json!(image.containers);
            value["SharedSize"] = json!(0);
            value
        })
        .collect();
    let mut volumes = Vec::new();
    for volume in server.engine.volumes(&Filters::default())? {
        let mut value = wire::volume(&volume);
        value["UsageData"] = json!({
            "RefCount": server.engine.volume_references(&volume.name),
            "Size": server.engine.volume_size(&volume).await,
        });
        volumes.push(value);
    }
    ok(&json!({
        "LayersSize": images.iter().map(|image| image.size).sum::<u64>(),
        "Images": shown,
        "Containers": containers
            .iter()
            .map(|container: &Summary| wire::container_summary(container, now))
            .collect::<Vec<_>>(),
        "Volumes": volumes,
        "BuildCache": [],
    }))
}

/// `POST /auth`: Hull asks no registry before it pulls.
pub(super) async fn auth(Json(_): Json) -> Answer {
    Err(ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "login is not supported: put the credentials into Docker's config.json",
    ))
}
