//! Images made of containers and archives, and archives of images.

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderValue, StatusCode, header};
use hull_engine::image::{CommitOptions, ImportOptions};
use serde_json::json;
use tokio_util::io::ReaderStream;

use super::stream::stream;
use super::{Answer, json};
use crate::body::Json;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;

/// `POST /commit`.
pub(super) async fn commit(
    State(server): State<Server>,
    parameters: Parameters,
    Json(_): Json,
) -> Answer {
    let text = |name| parameters.text(name).unwrap_or_default().to_owned();
    let container = parameters
        .text("container")
        .ok_or_else(|| ApiError::bad_request("bad parameter: container cannot be empty"))?;
    let options = CommitOptions {
        name: name(&parameters),
        author: text("author"),
        comment: text("comment"),
        changes: changes(&parameters),
        pause: parameters.all("pause").next().is_none() || parameters.switch("pause"),
    };
    let id = server.engine.commit(container, options).await?;
    Ok(json(StatusCode::CREATED, &json!({"Id": id})))
}

/// `POST /images/create?fromSrc=SOURCE`: the body (`-`), or a file that is fetched.
pub(super) async fn import(server: Server, parameters: Parameters, body: Body) -> Answer {
    let source = parameters.text("fromSrc").unwrap_or("-");
    let options = ImportOptions {
        name: name(&parameters),
        message: match parameters.text("message") {
            Some(message) => message.to_owned(),
            None => format!("Imported from {source}"),
        },
        changes: changes(&parameters),
        platform: parameters.text("platform").map(str::to_owned),
    };
    let mut said = Vec::new();
    let id = if source == "-" {
        server.engine.import(Box::pin(super::read(body)), options).await?
    } else {
        // As Docker, which takes a bare name for a host's.
        let url = match source.contains("://") {
            true => source.to_owned(),
            false => format!("http://{source}"),
        };
        let archive = server.engine.download(&url).await?;
        said.push(format!("Downloading from {url}"));
        server.engine.import(archive, options).await?
    };
    said.push(id);
    Ok(stream("application/json", async move |sink| {
        for status in said {
            sink.json(&json!({"status": status})).await;
        }
    }))
}

/// `GET /images/get`.
pub(super) async fn save(State(server): State<Server>, parameters: Parameters) -> Answer {
    let names: Vec<_> = parameters.all("names").map(str::to_owned).collect();
    archive(&server, &names).await
}

/// Answers with an archive of images.
pub(super) async fn archive(server: &Server, names: &[String]) -> Answer {
    let archive = server.engine.image_save(names).await?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"))];
    Ok((kind, Body::from_stream(ReaderStream::with_capacity(archive, 256 << 10))).into_response())
}

fn name(parameters: &Parameters) -> String {
    match (parameters.text("repo"), parameters.text("tag")) {
        (Some(repository), Some(tag)) => format!("{repository}:{tag}"),
        (Some(repository), None) => repository.to_owned(),
        (None, _) => String::new(),
    }
}

fn changes(parameters: &Parameters) -> Vec<String> {
    parameters.all("changes").map(str::to_owned).collect()
}
