//! Images that are here.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::StatusCode;
use hull_engine::EventKind;
use hull_engine::image::{ImageListOptions, ImageRemoveOptions, Removed};
use serde_json::{Value, json};

use super::{Answer, ok};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::version::Version;
use crate::wire;

pub(super) async fn list(
    State(server): State<Server>,
    parameters: Parameters,
    Extension(version): Extension<Version>,
) -> Answer {
    let mut options =
        ImageListOptions { filters: parameters.filters()?, all: parameters.switch("all") };
    // How clients before 1.25 said it.
    if let Some(reference) = parameters.text("filter") {
        options.filters.add("reference", reference);
    }
    let images = server.engine.images(options).await?;
    ok(&images.iter().map(|image| wire::image_summary(image, version)).collect())
}

/// `GET /images/{name}/json`, `/history` and `/get`; a name may have slashes.
pub(super) async fn get(
    State(server): State<Server>,
    Path(path): Path<String>,
    Extension(version): Extension<Version>,
) -> Answer {
    if let Some(name) = path.strip_suffix("/history") {
        let steps = server.engine.image_history(name).await?;
        return ok(&steps.iter().map(wire::history_step).collect());
    }
    if let Some(name) = path.strip_suffix("/get") {
        return super::image_archive::archive(&server, &[name.to_owned()]).await;
    }
    let Some(name) = path.strip_suffix("/json") else {
        return Err(ApiError::page_not_found());
    };
    let image = server.engine.image_inspect(name).await?;
    ok(&wire::image_inspect(&image, version))
}

/// `POST /images/{name}/tag`.
pub(super) async fn post(
    State(server): State<Server>,
    Path(path): Path<String>,
    parameters: Parameters,
) -> Answer {
    let Some(name) = path.strip_suffix("/tag") else {
        return Err(ApiError::page_not_found());
    };
    let mut target = parameters
        .text("repo")
        .ok_or_else(|| ApiError::bad_request("repository name must have at least one component"))?
        .to_owned();
    if let Some(tag) = parameters.text("tag") {
        target = format!("{target}:{tag}");
    }
    server.engine.image_tag(name, &target).await?;
    Ok(StatusCode::CREATED.into_response())
}

pub(super) async fn remove(
    State(server): State<Server>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Answer {
    let options = ImageRemoveOptions {
        force: parameters.switch("force"),
        no_prune: parameters.switch("noprune"),
    };
    ok(&wire::removed(&server.engine.image_remove(&name, options).await?))
}

pub(super) async fn prune(State(server): State<Server>, parameters: Parameters) -> Answer {
    let report = server.engine.image_prune(&parameters.filters()?).await?;
    server.engine.tell_pruned(EventKind::Image, report.reclaimed);
    let removed: &[Removed] = &report.removed;
    let deleted = if removed.is_empty() { Value::Null } else { wire::removed(removed) };
    ok(&json!({"ImagesDeleted": deleted, "SpaceReclaimed": report.reclaimed}))
}
