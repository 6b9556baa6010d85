//! `POST /containers/{id}/wait`.

use axum::extract::{Path, State};
use hull_engine::WaitCondition;
use serde_json::{Value, json};

use super::{Answer, stream};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;

/// Begins to wait, answers with the headers at once, and with the body when the wait is over:
/// `docker run` starts the container in between.
pub(super) async fn wait(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let condition = match parameters.text("condition") {
        None | Some("not-running") => WaitCondition::NotRunning,
        Some("next-exit") => WaitCondition::NextExit,
        Some("removed") => WaitCondition::Removed,
        Some(other) => {
            return Err(ApiError::bad_request(format!("invalid condition: {other:?}")));
        }
    };
    let waiter = server.engine.wait(&id, condition).await?;
    Ok(stream::stream("application/json", |sink| async move {
        let value = match waiter.finished().await {
            Ok(status) => {
                let mut value = json!({"StatusCode": status.exit_code});
                if !status.error.is_empty() {
                    value["Error"] = json!({"Message": status.error});
                }
                value
            }
            Err(error) => failed(&ApiError::in_stream(error)),
        };
        sink.json(&value).await;
    }))
}

fn failed(message: &str) -> Value {
    json!({"StatusCode": -1, "Error": {"Message": message}})
}
