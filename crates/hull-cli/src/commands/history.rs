//! `hull history`.

use std::collections::BTreeMap;

use hull_format::{Listing, Row, ago, ellipsis, human_size_with_precision, short_id};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Command, Invocation, list};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::{Arity, Switch};
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "history",
    arguments: "[OPTIONS] IMAGE",
    about: "Show the history of an image",
    aliases: &["image history", "history"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut format = String::new();
    let mut human = Switch(true);
    let mut no_trunc = false;
    let mut quiet = false;
    let mut flags = invocation.flags();
    flags.long(&mut format, "format", list::FORMAT);
    flags.both(&mut human, 'H', "human", "Print sizes and dates in human readable format");
    flags.long(&mut no_trunc, "no-trunc", "Don't truncate output");
    flags.both(&mut quiet, 'q', "quiet", "Only show image IDs");
    let names = flags.parse(arguments, Arity::Exactly(1))?;
    let shape = Shape { human: human.0, no_trunc };
    let listing = if human.0 { &HISTORY } else { &EXACT };
    let parsed = list::format(&format, false, listing)?;
    let path = format!("/images/{}/history", encode(&names[0]));
    invocation.wait_for(async {
        let steps = invocation.client().get(&path).await?;
        let now = Timestamp::now();
        let steps = steps.as_array().into_iter().flatten();
        let rows: Vec<Row> = steps.map(|step| row(step, shape, now)).collect();
        if list::is_quiet(quiet, &format) {
            let ids = rows.iter().filter_map(|row| row.columns[4].1.as_str());
            return output::print(ids.map(|id| format!("{id}\n")).collect::<String>());
        }
        list::print(&parsed, listing, &rows)
    })
}

#[derive(Clone, Copy)]
struct Shape {
    human: bool,
    no_trunc: bool,
}

fn row(step: &Value, shape: Shape, now: Timestamp) -> Row {
    let text = |name: &str| step[name].as_str().unwrap_or_default();
    let id = text("Id");
    let created = step["Created"].as_i64().unwrap_or(0);
    let created = Timestamp::from_second(created).unwrap_or_default();
    let rfc = created.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let rfc = rfc.strip_suffix("+00:00").map_or(rfc.clone(), |utc| format!("{utc}Z"));
    let created_by = text("CreatedBy").replace('\t', " ");
    let created_by = if shape.no_trunc { created_by } else { ellipsis(&created_by, 45) };
    let size = step["Size"].as_u64().unwrap_or(0);
    Row {
        columns: vec![
            ("Comment", json!(text("Comment"))),
            ("CreatedAt", json!(rfc)),
            ("CreatedBy", json!(created_by)),
            ("CreatedSince", json!(if shape.human { ago(created, now) } else { rfc.clone() })),
            ("ID", json!(if shape.no_trunc || id == MISSING { id } else { short_id(id) })),
            (
                "Size",
                json!(match shape.human {
                    true => human_size_with_precision(size, 3),
                    false => size.to_string(),
                }),
            ),
        ],
        labels: BTreeMap::new(),
    }
}

const MISSING: &str = "<missing>";

const HISTORY: Listing = Listing {
    type_name: "*formatter.historyContext",
    titles: &[
        ("Comment", "COMMENT"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("CreatedSince", "CREATED"),
        ("ID", "IMAGE"),
        ("Size", "SIZE"),
    ],
    table: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    raw: None,
};

const EXACT: Listing = Listing {
    table: "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    ..HISTORY
};
