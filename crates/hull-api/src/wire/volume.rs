//! Volumes in both directions.

use hull_engine::{CreateVolume, Volume};
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::time;
use crate::error::ApiError;

/// Reads what is to be created.
///
/// # Errors
/// A field of the wrong type, or one that Hull cannot honour.
pub(crate) fn create_volume(body: Value) -> Result<CreateVolume, ApiError> {
    let mut fields = Fields::new("", body)?;
    let volume = CreateVolume {
        name: fields.take("Name")?,
        driver: fields.take("Driver")?,
        labels: fields.take("Labels")?,
        options: fields.take("DriverOpts")?,
    };
    fields.finish()?;
    Ok(volume)
}

/// Writes a volume.
pub(crate) fn volume(volume: &Volume) -> Value {
    let map = |map: &std::collections::BTreeMap<String, String>| -> Value {
        if map.is_empty() {
            return Value::Null;
        }
        map.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>().into()
    };
    json!({
        "CreatedAt": seconds(&time(Some(volume.created))),
        "Driver": "local",
        "Labels": map(&volume.labels),
        "Mountpoint": volume.mountpoint.to_string_lossy(),
        "Name": volume.name,
        "Options": map(&volume.options),
        "Scope": "local",
    })
}

/// As Docker writes the time of a volume: without a fraction.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}
