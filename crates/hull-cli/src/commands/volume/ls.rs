//! `hull volume ls`.

use std::collections::BTreeMap;

use hull_format::{Listing, Row};
use serde_json::{Value, json};

use crate::commands::{Command, Invocation, list};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Filter;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "ls",
    arguments: "[OPTIONS]",
    about: "List volumes",
    aliases: &["volume ls", "volume list"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut filter = Filter::default();
    let mut format = String::new();
    let mut quiet = false;
    let mut flags = invocation.flags();
    flags.both(&mut filter, 'f', "filter", "Provide filter values (e.g. \"dangling=true\")");
    flags.long(&mut format, "format", list::FORMAT);
    flags.both(&mut quiet, 'q', "quiet", "Only display volume names");
    flags.parse(arguments, Arity::None)?;
    let parsed = list::format(&format, false, &VOLUMES)?;
    let query = format!("/volumes?{}", filter.parameter().trim_start_matches('&'));
    invocation.wait_for(async {
        let answer = invocation.client().get(&query).await?;
        let volumes = answer["Volumes"].as_array().into_iter().flatten();
        if list::is_quiet(quiet, &format) {
            let names = volumes.map(|volume| volume["Name"].as_str().unwrap_or_default());
            return output::print(names.map(|name| format!("{name}\n")).collect::<String>());
        }
        let rows: Vec<Row> = volumes.map(row).collect();
        list::print(&parsed, &VOLUMES, &rows)
    })
}

fn row(volume: &Value) -> Row {
    let labels: BTreeMap<String, String> = volume["Labels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let list: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Row {
        columns: vec![
            ("Availability", json!("N/A")),
            ("Driver", volume["Driver"].clone()),
            ("Group", json!("N/A")),
            ("Labels", json!(list.join(","))),
            ("Links", json!("N/A")),
            ("Mountpoint", volume["Mountpoint"].clone()),
            ("Name", volume["Name"].clone()),
            ("Scope", volume["Scope"].clone()),
            ("Size", json!("N/A")),
            ("Status", json!("N/A")),
        ],
        labels,
    }
}

const VOLUMES: Listing = Listing {
    type_name: "*formatter.volumeContext",
    titles: &[
        ("Availability", "AVAILABILITY"),
        ("Driver", "DRIVER"),
        ("Group", "GROUP"),
        ("Labels", "LABELS"),
        ("Links", "LINKS"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Name", "VOLUME NAME"),
        ("Scope", "SCOPE"),
        ("Size", "SIZE"),
        ("Status", "STATUS"),
    ],
    table: "{{.Driver}}\t{{.Name}}",
    raw: Some("name: {{.Name}}\ndriver: {{.Driver}}\n"),
};
