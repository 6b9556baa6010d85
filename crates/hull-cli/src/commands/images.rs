//! `hull images`.

use std::collections::BTreeMap;

use hull_format::{Listing, Row, ago, human_size, human_size_with_precision, local_time, short_id};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Command, Invocation, list};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Filter;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "images",
    arguments: "[OPTIONS] [REPOSITORY[:TAG]]",
    about: "List images",
    aliases: &["image ls", "image list", "images"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut all = false;
    let mut digests = false;
    let mut filter = Filter::default();
    let mut format = String::new();
    let mut no_trunc = false;
    let mut quiet = false;
    let mut flags = invocation.flags();
    flags.both(&mut all, 'a', "all", "Show all images (default hides intermediate images)");
    flags.long(&mut digests, "digests", "Show digests");
    flags.both(&mut filter, 'f', "filter", "Filter output based on conditions provided");
    flags.long(&mut format, "format", list::FORMAT);
    flags.long(&mut no_trunc, "no-trunc", "Don't truncate output");
    flags.both(&mut quiet, 'q', "quiet", "Only show image IDs");
    let operands = flags.parse(arguments, Arity::AtMost(1))?;
    if let [reference] = operands.as_slice() {
        filter.add("reference", reference);
    }
    let listing = if digests { &WITH_DIGESTS } else { &IMAGES };
    let parsed = list::format(&format, false, listing)?;
    let shows_digests = digests || format.contains(".Digest");
    let query = format!("/images/json?all={}{}", u8::from(all), filter.parameter());
    invocation.wait_for(async {
        let images = invocation.client().get(&query).await?;
        let now = Timestamp::now();
        let rows: Vec<Row> = images
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|image| rows(image, no_trunc, shows_digests, now))
            .collect();
        if list::is_quiet(quiet, &format) {
            return output::print(ids(&rows));
        }
        list::print(&parsed, listing, &rows)
    })
}

/// The identifiers, one per image and not per name.
fn ids(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut last = None;
    for row in rows {
        let id = row.columns.iter().find(|(name, _)| *name == "ID").map(|(_, id)| id);
        if id != last {
            text.push_str(id.and_then(Value::as_str).unwrap_or_default());
            text.push('\n');
        }
        last = id;
    }
    text
}

/// One row per name of an image, and digest if they are shown.
fn rows(image: &Value, no_trunc: bool, digests: bool, now: Timestamp) -> Vec<Row> {
    let texts = |name: &str| -> Vec<&str> {
        let list = image[name].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).filter(|text| !text.starts_with("<none>")).collect()
    };
    let tags: Vec<(&str, &str)> = texts("RepoTags")
        .iter()
        .map(|name| name.rsplit_once(':').unwrap_or((name, NONE)))
        .collect();
    let sums: Vec<(&str, &str)> = texts("RepoDigests")
        .iter()
        .map(|name| name.split_once('@').unwrap_or((name, NONE)))
        .collect();

    let mut names = Vec::new();
    for &(repository, tag) in &tags {
        let of_repository: Vec<&str> =
            sums.iter().filter(|sum| sum.0 == repository).map(|sum| sum.1).collect();
        match of_repository.as_slice() {
            sums if digests && !sums.is_empty() => {
                names.extend(sums.iter().map(|sum| (repository, tag, *sum)));
            }
            _ => names.push((repository, tag, NONE)),
        }
    }
    // Pulled by digest: a repository without a tag.
    for &(repository, sum) in &sums {
        if !tags.iter().any(|tag| tag.0 == repository) {
            names.push((repository, NONE, sum));
        }
    }
    if names.is_empty() {
        names.push((NONE, NONE, NONE));
    }
    names.into_iter().map(|name| row(image, name, no_trunc, now)).collect()
}

fn row(
    image: &Value,
    (repository, tag, digest): (&str, &str, &str),
    no_trunc: bool,
    now: Timestamp,
) -> Row {
    let id = image["Id"].as_str().unwrap_or_default();
    let size = image["Size"].as_u64().unwrap_or(0);
    let created = image["Created"].as_i64().filter(|&time| time != 0);
    let created = created.and_then(|time| Timestamp::from_second(time).ok());
    Row {
        columns: vec![
            ("Containers", json!("N/A")),
            (
                "CreatedAt",
                json!(created.map_or(String::new(), |time| local_time(time, &TimeZone::system()))),
            ),
            ("CreatedSince", json!(created.map_or("N/A".into(), |time| ago(time, now)))),
            ("Digest", json!(digest)),
            ("ID", json!(if no_trunc { id } else { short_id(id) })),
            ("Repository", json!(repository)),
            ("SharedSize", json!("N/A")),
            ("Size", json!(human_size_with_precision(size, 3))),
            ("Tag", json!(tag)),
            ("UniqueSize", json!("N/A")),
            ("VirtualSize", json!(human_size(size))),
        ],
        labels: BTreeMap::new(),
    }
}

const NONE: &str = "<none>";

const TITLES: &[(&str, &str)] = &[
    ("Containers", "CONTAINERS"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("SharedSize", "SHARED SIZE"),
    ("Size", "SIZE"),
    ("Tag", "TAG"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("VirtualSize", "SIZE"),
];

/// As docker's client prints an image in `raw` lists.
const RAW: &str = "repository: {{.Repository}}\n{{if .Tag}}tag: {{.Tag}}\n{{end}}image_id: {{.ID}}\n\
    created_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";

const RAW_WITH_DIGEST: &str = "repository: {{.Repository}}\n{{if .Tag}}tag: {{.Tag}}\n{{end}}\
    {{if .Digest}}digest: {{.Digest}}\n{{end}}image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\n\
    virtual_size: {{.Size}}\n";

const IMAGES: Listing = Listing {
    type_name: "*formatter.imageContext",
    titles: TITLES,
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    raw: Some(RAW),
};

const WITH_DIGESTS: Listing = Listing {
    table: "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    raw: Some(RAW_WITH_DIGEST),
    ..IMAGES
};

#[cfg(test)]
mod tests {
    use hull_format::Format;

    use super::*;

    fn shown(digests: bool) -> String {
        let images = [
            json!({
                "Id": "sha256:21e15a18de8c0505b22d2642ee59c0faeda56cef0838c734c839d8a9aba7c6d2",
                "RepoTags": ["127.0.0.1:5000/a:1", "127.0.0.1:5000/a:2"],
                "RepoDigests": ["127.0.0.1:5000/a@sha256:5f"],
                "Created": 1_795_300_929, "Size": 1_982_396,
            }),
            json!({
                "Id": "sha256:4fc44c948bee6d900a25cc2efd2d510a331ecaefba7f13908c87284a571a6603",
                "RepoTags": [], "RepoDigests": ["b@sha256:6a"], "Created": 0, "Size": 2050,
            }),
            json!({"Id": "sha256:710793c0c2dd", "RepoTags": [], "RepoDigests": [], "Size": 0}),
        ];
        let now = Timestamp::from_second(1_795_302_542).unwrap();
        let rows: Vec<Row> =
            images.iter().flat_map(|image| rows(image, false, digests, now)).collect();
        let listing = if digests { &WITH_DIGESTS } else { &IMAGES };
        assert_eq!(ids(&rows), "21e15a18de8c\n4fc44c948bee\n710793c0c2dd\n");
        Format::parse("", listing).unwrap().render(listing, &rows).unwrap()
    }

    #[test]
    fn table_is_dockers() {
        insta::assert_snapshot!(shown(false), @r"
        REPOSITORY         TAG       IMAGE ID       CREATED          SIZE
        127.0.0.1:5000/a   1         21e15a18de8c   26 minutes ago   1.98MB
        127.0.0.1:5000/a   2         21e15a18de8c   26 minutes ago   1.98MB
        b                  <none>    4fc44c948bee   N/A              2.05kB
        <none>             <none>    710793c0c2dd   N/A              0B
        ");
        insta::assert_snapshot!(shown(true), @r"
        REPOSITORY         TAG       DIGEST      IMAGE ID       CREATED          SIZE
        127.0.0.1:5000/a   1         sha256:5f   21e15a18de8c   26 minutes ago   1.98MB
        127.0.0.1:5000/a   2         sha256:5f   21e15a18de8c   26 minutes ago   1.98MB
        b                  <none>    sha256:6a   4fc44c948bee   N/A              2.05kB
        <none>             <none>    <none>      710793c0c2dd   N/A              0B
        ");
    }
}
