//! `hull system df`.

use std::collections::BTreeMap;

use hull_format::{Listing, Row, human_size};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::df_details;
use crate::commands::{Command, Invocation, list};
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command =
    Command { name: "df", arguments: "[OPTIONS]", about: "Show disk usage", aliases: &[], run };

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut format = String::new();
    let mut verbose = false;
    let mut flags = invocation.flags();
    flags.long(&mut format, "format", list::FORMAT);
    flags.both(&mut verbose, 'v', "verbose", "Show detailed information on space usage");
    flags.parse(arguments, Arity::None)?;
    let parsed = list::format(&format, false, &KINDS)?;
    invocation.wait_for(async {
        let usage = invocation.client().get("/system/df").await?;
        if verbose {
            return df_details::print(&usage, &format, Timestamp::now());
        }
        list::print(&parsed, &KINDS, &rows(&usage))
    })
}

fn rows(usage: &Value) -> Vec<Row> {
    let images = items(&usage["Images"]);
    let layers = number(&usage["LayersSize"]);
    let used: u64 = images
        .iter()
        .filter(|image| is_used(image))
        .map(|image| number(&image["Size"]).saturating_sub(number(&image["SharedSize"])))
        .sum();
    let containers = items(&usage["Containers"]);
    let size = |container: &&Value| number(&container["SizeRw"]);
    let volumes = items(&usage["Volumes"]);
    let volume_size = |volume: &&Value| number(&volume["UsageData"]["Size"]);
    let linked = |volume: &Value| number(&volume["UsageData"]["RefCount"]) > 0;
    let cache = items(&usage["BuildCache"]);
    vec![
        row(
            "Images",
            images.len(),
            images.iter().filter(|image| is_used(image)).count(),
            layers,
            layers.saturating_sub(used),
        ),
        row(
            "Containers",
            containers.len(),
            containers.iter().filter(|container| is_active(container)).count(),
            containers.iter().map(size).sum(),
            containers.iter().filter(|container| !is_active(container)).map(size).sum(),
        ),
        row(
            "Local Volumes",
            volumes.len(),
            volumes.iter().filter(|volume| linked(volume)).count(),
            volumes.iter().map(volume_size).sum(),
            volumes.iter().filter(|volume| !linked(volume)).map(volume_size).sum(),
        ),
        row("Build Cache", cache.len(), 0, 0, 0),
    ]
}

fn row(kind: &str, total: usize, active: usize, size: u64, reclaimable: u64) -> Row {
    let shown = match (reclaimable * 100).checked_div(size) {
        Some(percent) => format!("{} ({percent}%)", human_size(reclaimable)),
        None => human_size(reclaimable),
    };
    Row {
        columns: vec![
            ("Active", json!(active.to_string())),
            ("Reclaimable", json!(shown)),
            ("Size", json!(human_size(size))),
            ("TotalCount", json!(total.to_string())),
            ("Type", json!(kind)),
        ],
        labels: BTreeMap::new(),
    }
}

fn is_used(image: &Value) -> bool {
    number(&image["Containers"]) > 0
}

fn is_active(container: &Value) -> bool {
    matches!(text(&container["State"]), "running" | "paused" | "restarting")
}

pub(super) fn items(value: &Value) -> Vec<&Value> {
    value.as_array().into_iter().flatten().collect()
}

pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

const KINDS: Listing = Listing {
    type_name: "*formatter.diskUsageImagesContext",
    titles: &[
        ("Active", "ACTIVE"),
        ("Reclaimable", "RECLAIMABLE"),
        ("Size", "SIZE"),
        ("TotalCount", "TOTAL"),
        ("Type", "TYPE"),
    ],
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    raw: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_can_be_reclaimed() {
        let usage = json!({
            "LayersSize": 400,
            "Images": [
                {"Size": 300, "SharedSize": 0, "Containers": 1},
                {"Size": 100, "SharedSize": 0, "Containers": 0},
            ],
            "Containers": [{"State": "running", "SizeRw": 5}, {"State": "exited", "SizeRw": 15}],
        });
        let shown: Vec<_> = rows(&usage)
            .iter()
            .map(|row| row.columns.iter().map(|(_, v)| text(v).to_owned()).collect::<Vec<_>>())
            .collect();
        assert_eq!(shown[0], ["1", "100B (25%)", "400B", "2", "Images"]);
        assert_eq!(shown[1], ["1", "15B (75%)", "20B", "2", "Containers"]);
        assert_eq!(shown[2], ["0", "0B", "0B", "0", "Local Volumes"]);
    }
}
