//! `hull network ls`.

use std::collections::BTreeMap;

use hull_format::{Listing, Row, natural, short_id};
use serde_json::{Value, json};

use crate::commands::{Command, Invocation, list};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Filter;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "ls",
    arguments: "[OPTIONS]",
    about: "List networks",
    aliases: &["network ls", "network list"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut filter = Filter::default();
    let mut format = String::new();
    let mut no_trunc = false;
    let mut quiet = false;
    let mut flags = invocation.flags();
    flags.both(&mut filter, 'f', "filter", "Provide filter values (e.g. \"driver=bridge\")");
    flags.long(&mut format, "format", list::FORMAT);
    flags.long(&mut no_trunc, "no-trunc", "Do not truncate the output");
    flags.both(&mut quiet, 'q', "quiet", "Only display network IDs");
    flags.parse(arguments, Arity::None)?;
    let parsed = list::format(&format, false, &NETWORKS)?;
    invocation.wait_for(async {
        let path = format!("/networks?{}", filter.parameter());
        let networks = invocation.client().get(&path).await?;
        let mut networks: Vec<&Value> = networks.as_array().into_iter().flatten().collect();
        networks.sort_by(|one, other| natural(text(&one["Name"]), text(&other["Name"])));
        if list::is_quiet(quiet, &format) {
            let ids = networks.iter().map(|network| id(network, no_trunc) + "\n");
            return output::print(ids.collect::<String>());
        }
        let rows: Vec<Row> = networks.iter().map(|network| row(network, no_trunc)).collect();
        list::print(&parsed, &NETWORKS, &rows)
    })
}

fn row(network: &Value, no_trunc: bool) -> Row {
    let labels: BTreeMap<String, String> =
        serde_json::from_value(network["Labels"].clone()).unwrap_or_default();
    let joined: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let flag = |name: &str| json!(network[name].as_bool().unwrap_or_default().to_string());
    Row {
        columns: vec![
            ("CreatedAt", json!(created(text(&network["Created"])))),
            ("Driver", network["Driver"].clone()),
            ("ID", json!(id(network, no_trunc))),
            ("IPv4", flag("EnableIPv4")),
            ("IPv6", flag("EnableIPv6")),
            ("Internal", flag("Internal")),
            ("Labels", json!(joined.join(","))),
            ("Name", network["Name"].clone()),
            ("Scope", network["Scope"].clone()),
        ],
        labels,
    }
}

/// As Go prints a time.
fn created(text: &str) -> String {
    match text.strip_suffix('Z').and_then(|text| text.split_once('T')) {
        Some((date, time)) => format!("{date} {time} +0000 UTC"),
        None => text.to_owned(),
    }
}

fn id(network: &Value, no_trunc: bool) -> String {
    let id = text(&network["Id"]);
    if no_trunc { id.to_owned() } else { short_id(id).to_owned() }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

const NETWORKS: Listing = Listing {
    type_name: "*network.networkContext",
    titles: &[
        ("CreatedAt", "CREATED AT"),
        ("Driver", "DRIVER"),
        ("ID", "NETWORK ID"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("Name", "NAME"),
        ("Scope", "SCOPE"),
    ],
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    raw: Some("network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n"),
};
