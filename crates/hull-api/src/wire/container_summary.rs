//! `GET /containers/json`.

use hull_engine::{HealthStatus, Status, Summary};
use hull_format::{Status as Shown, command_line};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::container_inspect::mount;
use super::endpoint::endpoints;
use super::host_config::shown_network;
use super::ports;

/// Writes one line of a list; `now` tells how long ago things happened.
pub(crate) fn container_summary(container: &Summary, now: Timestamp) -> Value {
    let network = shown_network(&container.network_mode);
    let command = match container.command.split_first() {
        Some((path, arguments)) => command_line(path, arguments),
        None => String::new(),
    };
    let names = std::iter::once(&container.name).chain(&container.links);
    let names: Vec<String> = names.map(|name| format!("/{name}")).collect();
    let mut value = json!({
        "Id": container.id,
        "Names": names,
        "Image": container.image,
        "ImageID": container.image_id,
        "Command": command,
        "Created": container.created.as_second(),
        "Ports": ports::summary(container.exposed_ports.iter(), &container.ports),
    });
    if let Some(size) = container.size_rw {
        value["SizeRw"] = json!(size);
    }
    if let Some(size) = container.size_root_fs {
        value["SizeRootFs"] = json!(size);
    }
    value["Labels"] = json!(container.labels);
    value["State"] = json!(container.state.status.as_str());
    value["Status"] = json!(status(container, now));
    value["HostConfig"] = json!({"NetworkMode": network});
    value["NetworkSettings"] = json!({"Networks": endpoints(&container.endpoints)});
    value["Mounts"] = container.mounts.iter().map(mount).collect();
    value
}

/// Docker's `Up 5 minutes`, `Exited (0) 3 hours ago` and so on.
fn status(container: &Summary, now: Timestamp) -> String {
    let state = &container.state;
    let code = state.exit_code;
    let started = state.started_at.unwrap_or(now);
    let finished = state.finished_at.unwrap_or(now);
    match state.status {
        Status::Created => Shown::Created,
        Status::Dead => Shown::Dead,
        Status::Exited => Shown::Exited { code, finished },
        Status::Removing => Shown::Removing,
        Status::Restarting => Shown::Restarting { code, finished },
        Status::Paused => Shown::Running { started, note: "Paused" },
        Status::Running => Shown::Running {
            started,
            note: match container.health {
                None => "",
                Some(HealthStatus::Starting) => "health: starting",
                Some(health) => health.as_str(),
            },
        },
    }
    .describe(now)
}
