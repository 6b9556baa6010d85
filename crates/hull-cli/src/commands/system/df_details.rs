//! `hull system df --verbose`.

use hull_format::{Data, ago, align, command, human_size, local_time, short_id};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::df::{items, number, text};
use crate::commands::inspect;
use crate::error::Failure;
use crate::output;

/// Prints everything that takes space: as tables, as JSON, or as a template has it, which sees the
/// lists `Images`, `Containers`, `Volumes` and `BuildCache`.
pub(super) fn print(usage: &Value, format: &str, now: Timestamp) -> Result<(), Failure> {
    let details = details(usage, now);
    match format {
        "" | "table" => output::print(tables(&details)),
        "json" => output::line(&details.to_string()),
        format => {
            let template = inspect::template(format)?;
            let shown = template.execute(&Data::inspect(&details));
            // As docker's client, which adds no line feed.
            output::print(
                shown.map_err(|error| Failure::new(format!("template parsing error: {error}")))?,
            )
        }
    }
}

fn details(usage: &Value, now: Timestamp) -> Value {
    let then = |value: &Value| {
        let then = value.as_i64().and_then(|second| Timestamp::from_second(second).ok());
        then.unwrap_or(now)
    };
    let mut images = Vec::new();
    for image in items(&usage["Images"]) {
        let (size, shared) = (number(&image["Size"]), number(&image["SharedSize"]));
        let created = then(&image["Created"]);
        let names: Vec<&str> =
            items(&image["RepoTags"]).iter().filter_map(|name| name.as_str()).collect();
        for name in if names.is_empty() { vec!["<none>:<none>"] } else { names } {
            let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "<none>"));
            images.push(json!({
                "Repository": repository,
                "Tag": tag,
                "ID": short_id(text(&image["Id"])),
                "CreatedAt": local_time(created, &TimeZone::system()),
                "CreatedSince": ago(created, now),
                "Size": human_size(size),
                "SharedSize": human_size(shared),
                "UniqueSize": human_size(size.saturating_sub(shared)),
                "Containers": number(&image["Containers"]).to_string(),
            }));
        }
    }
    let container = |container: &Value| {
        let created = then(&container["Created"]);
        let names = items(&container["Names"]);
        let names: Vec<&str> =
            names.iter().map(|name| text(name).trim_start_matches('/')).collect();
        let volumes = items(&container["Mounts"]);
        json!({
            "ID": short_id(text(&container["Id"])),
            "Image": container["Image"],
            "Command": command(text(&container["Command"]), false),
            "LocalVolumes":
                volumes.iter().filter(|it| it["Driver"] == "local").count().to_string(),
            "Size": human_size(number(&container["SizeRw"])),
            "CreatedAt": local_time(created, &TimeZone::system()),
            "RunningFor": ago(created, now),
            "State": container["State"],
            "Status": container["Status"],
            "Names": names.join(","),
        })
    };
    let volume = |volume: &Value| {
        json!({
            "Name": volume["Name"],
            "Driver": volume["Driver"],
            "Mountpoint": volume["Mountpoint"],
            "Scope": volume["Scope"],
            "Links": number(&volume["UsageData"]["RefCount"]).to_string(),
            "Size": human_size(number(&volume["UsageData"]["Size"])),
        })
    };
    json!({
        "Images": images,
        "Containers": items(&usage["Containers"]).into_iter().map(container).collect::<Vec<_>>(),
        "Volumes": items(&usage["Volumes"]).into_iter().map(volume).collect::<Vec<_>>(),
        "BuildCache": [],
    })
}

fn tables(details: &Value) -> String {
    let table = |titles: &str, list: &str, fields: &[&str]| {
        let mut table = format!("{titles}\n");
        for item in items(&details[list]) {
            let cells: Vec<&str> = fields.iter().map(|field| text(&item[*field])).collect();
            table.push_str(&cells.join("\t"));
            table.push('\n');
        }
        align(&table)
    };
    format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\n\
         Build cache usage: 0B\n\n{}",
        table(
            "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS",
            "Images",
            &[
                "Repository",
                "Tag",
                "ID",
                "CreatedSince",
                "Size",
                "SharedSize",
                "UniqueSize",
                "Containers",
            ],
        ),
        table(
            "CONTAINER ID\tIMAGE\tCOMMAND\tLOCAL VOLUMES\tSIZE\tCREATED\tSTATUS\tNAMES",
            "Containers",
            &["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names",],
        ),
        table("VOLUME NAME\tLINKS\tSIZE", "Volumes", &["Name", "Links", "Size"]),
        table("CACHE ID\tCACHE TYPE\tSIZE\tCREATED\tLAST USED\tUSAGE\tSHARED", "BuildCache", &[],),
    )
}
