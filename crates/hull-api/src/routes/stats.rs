//! `GET /containers/{id}/stats`.

use std::time::Duration;

use axum::extract::{Path, State};
use hull_engine::Engine;
use hull_protocol::Statistics;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, ok, stream};
use crate::parameters::Parameters;
use crate::server::Server;
use crate::wire;

pub(super) async fn stats(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let engine = server.engine;
    let container = engine.inspect(&id, false).await?;
    let who = (container.id, container.name);
    // Streams unless told otherwise.
    let streams = parameters.text("stream").is_none() || parameters.switch("stream");
    let first = measure(&engine, &who.0).await?;
    if !streams {
        if parameters.switch("one-shot") {
            return ok(&value(&who, first.as_ref(), None));
        }
        tokio::time::sleep(INTERVAL).await;
        let second = measure(&engine, &who.0).await?;
        return ok(&value(&who, second.as_ref(), first.as_ref()));
    }
    Ok(stream::stream("application/json", move |sink| async move {
        let mut before = None;
        let mut now = first;
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            ticks.tick().await;
            if !sink.json(&value(&who, now.as_ref(), before.as_ref())).await {
                return;
            }
            before = now;
            match measure(&engine, &who.0).await {
                Ok(sample) => now = sample,
                // The container is gone.
                Err(_) => return,
            }
        }
    }))
}

type Sample = (Timestamp, Statistics);

async fn measure(engine: &Engine, id: &str) -> Result<Option<Sample>, hull_engine::Error> {
    let statistics = engine.statistics(id).await?;
    Ok(statistics.map(|statistics| (Timestamp::now(), statistics)))
}

/// A container that does not run has empty statistics, as in Docker.
fn value(who: &(String, String), now: Option<&Sample>, before: Option<&Sample>) -> Value {
    let who = (who.0.as_str(), who.1.as_str());
    match now {
        Some((time, statistics)) => wire::statistics(who, *time, statistics, before),
        None => {
            let mut value =
                wire::statistics(who, Timestamp::UNIX_EPOCH, &Statistics::default(), None);
            value["read"] = json!("0001-01-01T00:00:00Z");
            value
        }
    }
}

const INTERVAL: Duration = Duration::from_secs(1);
