//! `GET /events`.

use hull_engine::{Event, EventKind};
use serde_json::{Value, json};

/// Writes one event, with the fields that old clients read too.
pub(crate) fn event(event: &Event) -> Value {
    let mut value = json!({});
    if event.kind != EventKind::Daemon {
        value["status"] = json!(event.action);
        value["id"] = json!(event.actor);
    }
    if event.kind == EventKind::Container
        && let Some(image) = event.attributes.get("image")
    {
        value["from"] = json!(image);
    }
    value["Type"] = json!(event.kind.as_str());
    value["Action"] = json!(event.action);
    value["Actor"] = json!({"ID": event.actor, "Attributes": event.attributes});
    value["scope"] = json!("local");
    value["time"] = json!(event.time.as_second());
    // Nanoseconds since 1970 fit until the year 2262.
    value["timeNano"] = json!(i64::try_from(event.time.as_nanosecond()).unwrap_or(i64::MAX));
    value
}
