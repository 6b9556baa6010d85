//! Images: list, description, removal.

use std::collections::BTreeMap;

use hull_engine::ImageConfig;
use hull_engine::image::{HistoryStep, ImageInspect, ImageSummary, Removed};
use serde_json::{Map, Value, json};

use super::time;
use crate::version::Version;

/// Writes one line of `GET /images/json`.
pub(crate) fn image_summary(image: &ImageSummary, version: Version) -> Value {
    let mut value = json!({
        "Containers": -1,
        "Created": image.created.map_or(0, |created| created.as_second()),
        "Id": image.id,
        "Labels": if image.labels.is_empty() { Value::Null } else { json!(image.labels) },
        "ParentId": "",
        "RepoDigests": image.digests,
        "RepoTags": image.tags,
        "SharedSize": -1,
        "Size": image.size,
    });
    if version < Version::new(1, 43) && image.tags.is_empty() {
        // Clients before 1.43 expect a dangling image to say so.
        value["RepoTags"] = json!(["<none>:<none>"]);
        if image.digests.is_empty() {
            value["RepoDigests"] = json!(["<none>@<none>"]);
        }
    }
    if version < Version::new(1, 44) {
        value["VirtualSize"] = json!(image.size);
    }
    value
}

/// Writes `GET /images/{name}/json`.
pub(crate) fn image_inspect(image: &ImageInspect, version: Version) -> Value {
    let mut value = json!({
        "Id": image.id,
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Parent": image.parent,
        "Comment": image.comment,
        "Created": time(image.created),
        "DockerVersion": "",
        "Author": image.author,
        "Config": config(&image.config, image.has_labels),
        "Architecture": image.architecture,
    });
    if !image.variant.is_empty() {
        value["Variant"] = json!(image.variant);
    }
    value["Os"] = json!(image.os);
    value["Size"] = json!(image.size);
    if version < Version::new(1, 44) {
        value["VirtualSize"] = json!(image.size);
    }
    value["GraphDriver"] = json!({"Data": null, "Name": "hull"});
    value["RootFS"] = json!({"Type": "layers", "Layers": image.layers});
    value["Metadata"] = json!({"LastTagTime": time(None)});
    value
}

/// Writes one step of `GET /images/{name}/history`.
pub(crate) fn history_step(step: &HistoryStep) -> Value {
    json!({
        "Id": step.id.as_deref().unwrap_or("<missing>"),
        "Created": step.created.map_or(0, |created| created.as_second()),
        "CreatedBy": step.created_by,
        "Tags": if step.tags.is_empty() { Value::Null } else { json!(step.tags) },
        "Size": step.size,
        "Comment": step.comment,
    })
}

/// Writes what a removal did.
pub(crate) fn removed(removed: &[Removed]) -> Value {
    removed
        .iter()
        .map(|removed| match removed {
            Removed::Untagged(name) => json!({"Untagged": name}),
            Removed::Deleted(id) => json!({"Deleted": id}),
        })
        .collect()
}

fn config(config: &ImageConfig, has_labels: bool) -> Value {
    let set = |map: &BTreeMap<String, Value>| -> Value {
        if map.is_empty() {
            return Value::Null;
        }
        map.keys().map(|key| (key.clone(), json!({}))).collect::<Map<_, _>>().into()
    };
    let mut value = json!({
        "Hostname": "",
        "Domainname": "",
        "User": config.user,
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "ExposedPorts": set(&config.exposed_ports),
        "Tty": false,
        "OpenStdin": false,
        "StdinOnce": false,
        "Env": if config.env.is_empty() { Value::Null } else { json!(config.env) },
        "Cmd": config.cmd,
        "Healthcheck": config.healthcheck,
        "Image": "",
        "Volumes": set(&config.volumes),
        "WorkingDir": config.working_dir,
        "Entrypoint": config.entrypoint,
        "OnBuild": null,
        "Labels": if has_labels { json!(config.labels) } else { Value::Null },
        "StopSignal": config.stop_signal,
    });
    if let Value::Object(fields) = &mut value {
        // As Docker, which leaves these out where they are empty.
        let optional = ["ExposedPorts", "Healthcheck", "StopSignal"];
        fields.retain(|name, value| !value.is_null() || !optional.contains(&name.as_str()));
    }
    value
}
