//! Containers: everything that is one question and one answer.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode};
use hull_engine::{
    CreateOptions, EventKind, Filters, ListOptions, RemoveOptions, Status, StopOptions,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, checkpoints, json, no_content, ok};
use crate::body::Json;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::wire;

pub(super) async fn list(State(server): State<Server>, parameters: Parameters) -> Answer {
    let options = ListOptions {
        all: parameters.switch("all"),
        limit: parameters.number("limit")?.unwrap_or(0),
        size: parameters.switch("size"),
        filters: parameters.filters()?,
    };
    let now = Timestamp::now();
    let containers = server.engine.list(options).await?;
    ok(&containers.iter().map(|container| wire::container_summary(container, now)).collect())
}

pub(super) async fn create(
    State(server): State<Server>,
    parameters: Parameters,
    Json(body): Json,
) -> Answer {
    let mut config = wire::container_config(body)?;
    config.platform = parameters.text("platform").map(str::to_owned);
    let name = parameters.text("name").map(str::to_owned);
    let created = server.engine.create(CreateOptions { name, config }).await?;
    let value = json!({"Id": created.id, "Warnings": created.warnings});
    Ok(json(StatusCode::CREATED, &value))
}

pub(super) async fn inspect(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let container = server.engine.inspect(&id, parameters.switch("size")).await?;
    ok(&wire::container_inspect(&container))
}

pub(super) async fn start(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    match parameters.text("checkpoint").filter(|name| !name.is_empty()) {
        Some(name) => {
            let dir = checkpoints::directory(&parameters, "checkpoint-dir");
            server.engine.start_from_checkpoint(&id, name, dir.as_deref()).await?;
        }
        None => server.engine.start(&id).await?,
    }
    if !parameters.switch("timings") {
        return no_content();
    }
    // In the answer itself: a container that removes itself may be gone when the client asks.
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(container) = server.engine.inspect(&id, false).await
        && let Ok(value) = HeaderValue::from_str(&wire::timings(&container.timings).to_string())
    {
        response.headers_mut().insert("Hull-Timings", value);
    }
    Ok(response)
}

pub(super) async fn stop(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    server.engine.stop(&id, stop_options(&parameters)?).await?;
    no_content()
}

pub(super) async fn restart(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    server.engine.restart(&id, stop_options(&parameters)?).await?;
    no_content()
}

pub(super) async fn kill(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    server.engine.kill(&id, parameters.text("signal")).await?;
    no_content()
}

pub(super) async fn pause(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    server.engine.pause(&id).await?;
    no_content()
}

pub(super) async fn unpause(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    server.engine.unpause(&id).await?;
    no_content()
}

pub(super) async fn update(
    State(server): State<Server>,
    Path(id): Path<String>,
    Json(body): Json,
) -> Answer {
    let warnings = server.engine.update(&id, wire::update(body)?).await?;
    let warnings = if warnings.is_empty() { Value::Null } else { json!(warnings) };
    ok(&json!({"Warnings": warnings}))
}

pub(super) async fn rename(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let name = parameters
        .text("name")
        .ok_or_else(|| ApiError::bad_request("Neither old nor new names may be empty"))?;
    server.engine.rename(&id, name).await?;
    no_content()
}

pub(super) async fn resize(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let (rows, columns) = size(&parameters)?;
    server.engine.resize(&id, rows, columns).await?;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn remove(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    if parameters.switch("link") {
        server.engine.remove_link(&id).await?;
        return no_content();
    }
    let options =
        RemoveOptions { force: parameters.switch("force"), volumes: parameters.switch("v") };
    server.engine.remove(&id, options).await?;
    no_content()
}

/// Removes all containers that do not run. One that starts or goes away meanwhile is passed over.
pub(super) async fn prune(State(server): State<Server>, parameters: Parameters) -> Answer {
    let mut filters = parameters.filters()?;
    let known = |key: &String| matches!(key.as_str(), "label" | "label!" | "until");
    if let Some(key) = filters.0.keys().find(|key| !known(key)) {
        return Err(ApiError::bad_request(format!("invalid filter '{key}'")));
    }
    let until = filters.until()?;
    filters.0.remove("until");
    // Those that have the labels of `label!` stay.
    let kept = filters.0.remove("label!");
    let kept = kept.map(|labels| Filters([("label".to_owned(), labels)].into()));
    let options = ListOptions {
        all: true,
        size: true,
        filters: Filters(filters.0),
        ..ListOptions::default()
    };
    let mut removed = Vec::new();
    let mut reclaimed = 0;
    for container in server.engine.list(options).await? {
        let status = container.state.status;
        if !matches!(status, Status::Created | Status::Exited | Status::Dead)
            || until.is_some_and(|until| container.created > until)
            || kept.as_ref().is_some_and(|kept| kept.all_labels("label", &container.labels))
        {
            continue;
        }
        let options = RemoveOptions { force: false, volumes: true };
        if server.engine.remove(&container.id, options).await.is_ok() {
            reclaimed += container.size_rw.unwrap_or(0);
            removed.push(container.id);
        }
    }
    server.engine.tell_pruned(EventKind::Container, reclaimed);
    let removed = if removed.is_empty() { Value::Null } else { json!(removed) };
    ok(&json!({"ContainersDeleted": removed, "SpaceReclaimed": reclaimed}))
}

pub(super) async fn top(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let top = server.engine.top(&id, parameters.text("ps_args").unwrap_or("-ef")).await?;
    ok(&json!({"Titles": top.titles, "Processes": top.processes}))
}

/// Reads the size of a terminal: rows and columns.
pub(super) fn size(parameters: &Parameters) -> Result<(u16, u16), ApiError> {
    let number = |name| {
        parameters
            .number(name)?
            .ok_or_else(|| ApiError::bad_request(format!("missing parameter {name}")))
    };
    Ok((number("h")?, number("w")?))
}

fn stop_options(parameters: &Parameters) -> Result<StopOptions, ApiError> {
    Ok(StopOptions {
        signal: parameters.text("signal").map(str::to_owned),
        timeout: parameters.number("t")?,
    })
}
