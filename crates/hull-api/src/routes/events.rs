//! `GET /events`.

use axum::extract::State;
use hull_engine::EventOptions;

use super::{Answer, stream};
use crate::parameters::Parameters;
use crate::server::Server;
use crate::wire;

pub(super) async fn events(State(server): State<Server>, parameters: Parameters) -> Answer {
    let options = EventOptions {
        since: parameters.time("since")?,
        until: parameters.time("until")?,
        filters: parameters.filters()?,
    };
    let mut events = server.engine.events(options)?;
    Ok(stream::stream("application/json", move |sink| async move {
        while let Some(event) = events.next().await {
            if !sink.send(format!("{}\n", wire::event(&event))).await {
                return;
            }
        }
    }))
}
