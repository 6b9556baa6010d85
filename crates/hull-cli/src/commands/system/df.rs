//! `hull system df`.

use std::collections::BTreeMap;

use hull_format::{Listing, Row, ago, align, ellipsis, human_size, short_id};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::commands::{Command, Invocation, list};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

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
        if verbose && format == "json" {
            return output::line(&usage.to_string());
        }
        if verbose {
            if !format.is_empty() {
                return Err(Failure::new("--verbose takes no template, only `--format json`"));
            }
            return output::print(details(&usage, Timestamp::now()));
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

fn details(usage: &Value, now: Timestamp) -> String {
    let since = |value: &Value| {
        let then = value.as_i64().and_then(|second| Timestamp::from_second(second).ok());
        ago(then.unwrap_or(now), now)
    };
    let mut images =
        "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS\n"
            .to_owned();
    for image in items(&usage["Images"]) {
        let (size, shared) = (number(&image["Size"]), number(&image["SharedSize"]));
        let names = items(&image["RepoTags"]);
        let names: Vec<&str> = names.iter().filter_map(|name| name.as_str()).collect();
        for name in if names.is_empty() { vec!["<none>:<none>"] } else { names } {
            let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "<none>"));
            images.push_str(&format!(
                "{repository}\t{tag}\t{}\t{}\t{}\t{}\t{}\t{}\n",
                short_id(text(&image["Id"])),
                since(&image["Created"]),
                human_size(size),
                human_size(shared),
                human_size(size.saturating_sub(shared)),
                number(&image["Containers"]),
            ));
        }
    }
    let mut containers =
        "CONTAINER ID\tIMAGE\tCOMMAND\tLOCAL VOLUMES\tSIZE\tCREATED\tSTATUS\tNAMES\n".to_owned();
    for container in items(&usage["Containers"]) {
        let volumes = items(&container["Mounts"]);
        let names = items(&container["Names"]);
        let names: Vec<&str> =
            names.iter().map(|name| text(name).trim_start_matches('/')).collect();
        containers.push_str(&format!(
            "{}\t{}\t\"{}\"\t{}\t{}\t{}\t{}\t{}\n",
            short_id(text(&container["Id"])),
            text(&container["Image"]),
            ellipsis(text(&container["Command"]), 20),
            volumes.iter().filter(|mount| mount["Driver"] == "local").count(),
            human_size(number(&container["SizeRw"])),
            since(&container["Created"]),
            text(&container["Status"]),
            names.join(","),
        ));
    }
    let mut volumes = "VOLUME NAME\tLINKS\tSIZE\n".to_owned();
    for volume in items(&usage["Volumes"]) {
        volumes.push_str(&format!(
            "{}\t{}\t{}\n",
            text(&volume["Name"]),
            number(&volume["UsageData"]["RefCount"]),
            human_size(number(&volume["UsageData"]["Size"])),
        ));
    }
    let cache = "CACHE ID\tCACHE TYPE\tSIZE\tCREATED\tLAST USED\tUSAGE\tSHARED\n";
    format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\n\
         Build cache usage: 0B\n\n{}",
        align(&images),
        align(&containers),
        align(&volumes),
        align(cache),
    )
}

fn is_used(image: &Value) -> bool {
    number(&image["Containers"]) > 0
}

fn is_active(container: &Value) -> bool {
    matches!(text(&container["State"]), "running" | "paused" | "restarting")
}

fn items(value: &Value) -> Vec<&Value> {
    value.as_array().into_iter().flatten().collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn text(value: &Value) -> &str {
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
