//! `hull ps`.

use std::collections::BTreeMap;

use hull_format::{
    Listing, Port, Row, ago, command, ellipsis, human_size_with_precision, local_time, short_id,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Command, Invocation, list};
use crate::error::Failure;
use crate::flags::{Arity, Value as FlagValue};
use crate::options::Filter;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "ps",
    arguments: "[OPTIONS]",
    about: "List containers",
    aliases: &["container ls", "container list", "container ps", "ps"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut all = false;
    let mut filter = Filter::default();
    let mut format = String::new();
    let mut last = Last(-1);
    let mut latest = false;
    let mut no_trunc = false;
    let mut quiet = false;
    let mut size = false;
    let mut flags = invocation.flags();
    flags.both(&mut all, 'a', "all", "Show all containers (default shows just running)");
    flags.both(&mut filter, 'f', "filter", "Filter output based on conditions provided");
    flags.long(&mut format, "format", list::FORMAT);
    flags.both(&mut last, 'n', "last", "Show n last created containers (includes all states)");
    flags.both(
        &mut latest,
        'l',
        "latest",
        "Show the latest created container (includes all states)",
    );
    flags.long(&mut no_trunc, "no-trunc", "Don't truncate output");
    flags.both(&mut quiet, 'q', "quiet", "Only display container IDs");
    flags.both(&mut size, 's', "size", "Display total file sizes");
    flags.parse(arguments, Arity::None)?;

    let limit = if latest && last.0 == -1 { 1 } else { last.0 };
    let listing = if size { &WITH_SIZES } else { &CONTAINERS };
    let parsed = list::format(&format, quiet, listing)?;
    let measures = size || format.contains(".Size");
    let query = format!(
        "/containers/json?all={}&limit={limit}&size={}{}",
        u8::from(all),
        u8::from(measures && !quiet),
        filter.parameter()
    );
    invocation.wait_for(async {
        let containers = invocation.client().get(&query).await?;
        let containers = containers.as_array().map(Vec::as_slice).unwrap_or_default();
        if quiet {
            return output::print(
                containers.iter().map(|c| id(c, no_trunc) + "\n").collect::<String>(),
            );
        }
        let now = Timestamp::now();
        let rows: Vec<Row> = containers.iter().map(|c| row(c, no_trunc, now)).collect();
        list::print(&parsed, listing, &rows)
    })
}

fn id(container: &Value, no_trunc: bool) -> String {
    let id = text(&container["Id"]);
    if no_trunc { id.to_owned() } else { short_id(id).to_owned() }
}

fn row(container: &Value, no_trunc: bool, now: Timestamp) -> Row {
    let created = container["Created"].as_i64().and_then(|time| Timestamp::from_second(time).ok());
    let created = created.unwrap_or(now);
    let labels: BTreeMap<String, String> = container["Labels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(value).to_owned()))
        .collect();
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Row {
        columns: vec![
            ("Command", json!(command(text(&container["Command"]), no_trunc))),
            ("CreatedAt", json!(local_time(created, &TimeZone::system()))),
            ("ID", json!(id(container, no_trunc))),
            ("Image", json!(image(container, no_trunc))),
            ("Labels", json!(pairs.join(","))),
            ("LocalVolumes", json!(local_volumes(container).to_string())),
            ("Mounts", json!(mounts(container, no_trunc))),
            ("Names", json!(names(container, no_trunc))),
            ("Networks", json!(networks(container))),
            ("Platform", Value::Null),
            ("Ports", json!(ports(container))),
            ("RunningFor", json!(ago(created, now))),
            ("Size", json!(size(container))),
            ("State", container["State"].clone()),
            ("Status", container["Status"].clone()),
        ],
        labels,
    }
}

fn names(container: &Value, no_trunc: bool) -> String {
    let names = container["Names"].as_array().into_iter().flatten();
    let names = names.map(|name| text(name).trim_start_matches('/'));
    // What others that are linked to it call it has their name before.
    names.filter(|name| no_trunc || !name.contains('/')).collect::<Vec<_>>().join(",")
}

fn image(container: &Value, no_trunc: bool) -> String {
    match text(&container["Image"]) {
        "" => "<no image>".into(),
        image if no_trunc => image.to_owned(),
        image => match image.strip_prefix("sha256:") {
            Some(_) => short_id(image).to_owned(),
            None => image.to_owned(),
        },
    }
}

fn networks(container: &Value) -> String {
    let networks = container["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    networks.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
}

fn mounts(container: &Value, no_trunc: bool) -> String {
    let mounts = container["Mounts"].as_array().into_iter().flatten();
    let name = |mount: &Value| {
        let name = match text(&mount["Name"]) {
            "" => text(&mount["Source"]),
            name => name,
        };
        if no_trunc { name.to_owned() } else { ellipsis(name, 15) }
    };
    mounts.map(name).collect::<Vec<_>>().join(",")
}

fn local_volumes(container: &Value) -> usize {
    let mounts = container["Mounts"].as_array().into_iter().flatten();
    mounts.filter(|mount| mount["Driver"] == "local").count()
}

fn size(container: &Value) -> String {
    let bytes = |name: &str| container[name].as_u64().unwrap_or(0);
    let own = human_size_with_precision(bytes("SizeRw"), 3);
    match bytes("SizeRootFs") {
        0 => own,
        all => format!("{own} (virtual {})", human_size_with_precision(all, 3)),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A number whose default is -1.
#[derive(Clone, Copy, Debug)]
struct Last(i64);

impl FlagValue for Last {
    fn set(&mut self, text: &str) -> Result<(), String> {
        self.0.set(text)
    }

    fn type_name(&self) -> &'static str {
        "int"
    }

    fn shown_default(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

const TITLES: &[(&str, &str)] = &[
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Labels", "LABELS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Mounts", "MOUNTS"),
    ("Names", "NAMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
    ("Ports", "PORTS"),
    ("RunningFor", "CREATED"),
    ("Size", "SIZE"),
    ("State", "STATE"),
    ("Status", "STATUS"),
];

/// The container's ports in one column.
fn ports(container: &Value) -> String {
    let number = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    let port = |value: &Value| {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Some(Port {
            private: number(&value["PrivatePort"])?,
            ip: text("IP"),
            public: number(&value["PublicPort"]).unwrap_or_default(),
            kind: text("Type"),
        })
    };
    let list = container["Ports"].as_array().into_iter().flatten();
    hull_format::ports(list.filter_map(port).collect())
}

/// As docker's client prints a container in `raw` lists.
const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\n\
    created_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\n\
    names: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n";

const RAW_WITH_SIZE: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\n\
    created_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\n\
    names: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n\
    size: {{.Size}}\n";

const CONTAINERS: Listing = Listing {
    type_name: "*formatter.ContainerContext",
    titles: TITLES,
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    raw: Some(RAW),
};

const WITH_SIZES: Listing = Listing {
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}",
    raw: Some(RAW_WITH_SIZE),
    ..CONTAINERS
};

#[cfg(test)]
mod tests {
    use hull_format::Format;

    use super::*;

    fn containers() -> Vec<Value> {
        vec![
            json!({
                "Id": "1e0630c980bb0e332a28d2c08cdb98af4d7d182c03737340063bbddc2acb7022",
                "Names": ["/first"], "Image": "busybox:1", "ImageID": "sha256:21e1",
                "Command": "sh -c 'sleep 300'", "Created": 1_795_302_540, "Ports": [],
                "SizeRw": 12_345, "SizeRootFs": 1_982_396,
                "Labels": {"b": "2", "a": "1"}, "State": "exited",
                "Status": "Exited (137) 1 second ago",
                "NetworkSettings": {"Networks": {"none": {}}}, "Mounts": [],
            }),
            json!({
                "Id": "864056c52735bbfcae7f8ced5eb833ac1982b7dbb719ff5077670327b09e1f5f",
                "Names": ["/second"], "Image": "sha256:21e15a18de8c0505b22d2642ee59c0fa",
                "Command": "true", "Created": 1_795_300_932, "State": "running",
                "Status": "Up 5 minutes", "Labels": {}, "Mounts": [],
            }),
        ]
    }

    fn shown(format: &str, listing: &Listing, no_trunc: bool) -> String {
        let now = Timestamp::from_second(1_795_302_542).unwrap();
        let rows: Vec<Row> = containers().iter().map(|c| row(c, no_trunc, now)).collect();
        Format::parse(format, listing).unwrap().render(listing, &rows).unwrap()
    }

    #[test]
    fn table_is_dockers() {
        insta::assert_snapshot!(shown("", &CONTAINERS, false), @r#"
        CONTAINER ID   IMAGE          COMMAND               CREATED          STATUS                      PORTS     NAMES
        1e0630c980bb   busybox:1      "sh -c 'sleep 300'"   2 seconds ago    Exited (137) 1 second ago             first
        864056c52735   21e15a18de8c   "true"                26 minutes ago   Up 5 minutes                          second
        "#);
        insta::assert_snapshot!(shown("table {{.ID}}\t{{.Size}}", &WITH_SIZES, true), @r"
        CONTAINER ID                                                       SIZE
        1e0630c980bb0e332a28d2c08cdb98af4d7d182c03737340063bbddc2acb7022   12.3kB (virtual 1.98MB)
        864056c52735bbfcae7f8ced5eb833ac1982b7dbb719ff5077670327b09e1f5f   0B
        ");
    }

    #[test]
    fn templates_see_all_columns() {
        let format =
            r#"{{.Names}}|{{.Labels}}|{{.Label "b"}}|{{.Networks}}|{{.State}}|{{.LocalVolumes}}"#;
        insta::assert_snapshot!(shown(format, &CONTAINERS, false), @r"
        first|a=1,b=2|2|none|exited|0
        second||||running|0
        ");
    }
}
