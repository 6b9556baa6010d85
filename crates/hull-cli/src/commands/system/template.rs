//! `hull system template`: machines that have booted and wait to be forked.

use std::collections::BTreeMap;

use http::Method;
use hull_format::{Listing, Row, ago, bytes_size, human_size_with_precision, short_id};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::encode;
use crate::commands::group::{Group, Member};
use crate::commands::{Command, Invocation, list, many};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::{Cpus, Memory};
use crate::output;

pub(super) const GROUP: Group = Group {
    name: "template",
    about: "Manage the templates that containers' machines are forked from",
    commands: &[
        (&["build"], Member::Command(&BUILD)),
        (&["ls", "list"], Member::Command(&LIST)),
        (&["prune"], Member::Command(&PRUNE)),
        (&["rm", "remove"], Member::Command(&REMOVE)),
    ],
};

const BUILD: Command = Command {
    name: "build",
    arguments: "[OPTIONS]",
    about: "Build the template for a shape of machines, unless it is there, and print its key",
    aliases: &[],
    run: build,
};

const LIST: Command = Command {
    name: "ls",
    arguments: "[OPTIONS]",
    about: "List templates",
    aliases: &["system template ls", "system template list"],
    run: list,
};

const PRUNE: Command = Command {
    name: "prune",
    arguments: "[OPTIONS]",
    about: "Remove templates that no container would be started from",
    aliases: &[],
    run: prune,
};

const REMOVE: Command = Command {
    name: "rm",
    arguments: "KEY [KEY...]",
    about: "Remove one or more templates; the beginning of a key is enough",
    aliases: &["system template rm", "system template remove"],
    run: remove,
};

fn build(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut memory = Memory::default();
    let mut cpus = Cpus::default();
    let mut flags = invocation.flags();
    flags.long(&mut cpus, "cpus", "Number of CPUs of the containers (default as of `hull run`)");
    flags.both(
        &mut memory,
        'm',
        "memory",
        "Memory limit of the containers (default as of `hull run`)",
    );
    flags.parse(arguments, Arity::None)?;
    invocation.wait_for(async {
        let body = json!({"Memory": memory.0, "NanoCpus": cpus.0});
        let template = invocation.client().post("/hull/templates", Some(body)).await?;
        output::line(text(&template["Key"]))
    })
}

fn list(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut format = String::new();
    let mut no_trunc = false;
    let mut quiet = false;
    let mut flags = invocation.flags();
    flags.long(&mut format, "format", list::FORMAT);
    flags.long(&mut no_trunc, "no-trunc", "Don't truncate output");
    flags.both(&mut quiet, 'q', "quiet", "Only display keys");
    flags.parse(arguments, Arity::None)?;
    let parsed = list::format(&format, quiet, &TEMPLATES)?;
    invocation.wait_for(async {
        let templates = invocation.client().get("/hull/templates").await?;
        let templates = templates.as_array().map(Vec::as_slice).unwrap_or_default();
        if quiet {
            let keys = templates.iter().map(|template| key(template, no_trunc) + "\n");
            return output::print(keys.collect::<String>());
        }
        let now = Timestamp::now();
        let rows: Vec<Row> =
            templates.iter().map(|template| row(template, no_trunc, now)).collect();
        list::print(&parsed, &TEMPLATES, &rows)
    })
}

fn prune(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut all = false;
    let mut flags = invocation.flags();
    flags.both(&mut all, 'a', "all", "Remove all templates, not just those that are of no use");
    flags.parse(arguments, Arity::None)?;
    invocation.wait_for(async {
        let path = format!("/hull/templates/prune?all={}", u8::from(all));
        let pruned = invocation.client().post(&path, None).await?;
        let mut shown = String::new();
        for key in pruned["TemplatesDeleted"].as_array().into_iter().flatten() {
            if shown.is_empty() {
                shown.push_str("Deleted Templates:\n");
            }
            shown.push_str(text(key));
            shown.push('\n');
        }
        if !shown.is_empty() {
            shown.push('\n');
        }
        let bytes = pruned["SpaceReclaimed"].as_u64().unwrap_or(0);
        let reclaimed = human_size_with_precision(bytes, 4);
        output::print(format!("{shown}Total reclaimed space: {reclaimed}\n"))
    })
}

fn remove(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let keys = invocation.flags().parse(arguments, Arity::AtLeast(1))?;
    invocation.wait_for(async {
        let client = invocation.client();
        let client = &client;
        many::each(&keys, |key| async move {
            let path = format!("/hull/templates/{}", encode(key).replace('/', "%2F"));
            client.json(Method::DELETE, &path, None).await?;
            Ok(key.to_owned())
        })
        .await
    })
}

fn row(template: &Value, no_trunc: bool, now: Timestamp) -> Row {
    let time = |name: &str| text(&template[name]).parse::<Timestamp>().ok();
    let since = |name: &str| time(name).map(|time| ago(time, now));
    let bytes = |name: &str| template[name].as_u64().unwrap_or(0);
    Row {
        columns: vec![
            ("Accelerator", template["Accelerator"].clone()),
            ("CPUs", json!(bytes("CPUs").to_string())),
            ("CreatedAt", json!(text(&template["Created"]))),
            ("CreatedSince", json!(since("Created").unwrap_or_else(|| "N/A".into()))),
            ("Kernel", template["Kernel"].clone()),
            ("Key", json!(key(template, no_trunc))),
            ("LastUsed", json!(since("LastUsed").unwrap_or_else(|| "Never".into()))),
            ("Memory", json!(bytes_size(bytes("Memory")))),
            ("Size", json!(human_size_with_precision(bytes("Size"), 3))),
            ("State", template["State"].clone()),
        ],
        labels: BTreeMap::new(),
    }
}

fn key(template: &Value, no_trunc: bool) -> String {
    let key = text(&template["Key"]);
    if no_trunc { key.to_owned() } else { short_id(key).to_owned() }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

const TEMPLATES: Listing = Listing {
    type_name: "*formatter.TemplateContext",
    titles: &[
        ("Accelerator", "ACCELERATOR"),
        ("CPUs", "CPUS"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedSince", "CREATED"),
        ("Kernel", "KERNEL"),
        ("Key", "KEY"),
        ("LastUsed", "LAST USED"),
        ("Memory", "MEMORY"),
        ("Size", "SIZE"),
        ("State", "STATE"),
    ],
    table: "{{.Key}}\t{{.CPUs}}\t{{.Memory}}\t{{.Kernel}}\t{{.State}}\t{{.Size}}\t\
            {{.CreatedSince}}\t{{.LastUsed}}",
    raw: None,
};
