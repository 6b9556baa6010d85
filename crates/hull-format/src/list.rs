//! Lists: `--format` of `ps`, `images` and the like.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::align;
use crate::template::{Data, Error, Template};

/// A row of a list.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Columns by the names that templates use (`ID`, `Names`).
    pub columns: Vec<(&'static str, Value)>,
    /// What `.Label "key"` looks up.
    pub labels: BTreeMap<String, String>,
}

/// What kind of list is printed.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Go's name of the row type, for errors: `*formatter.ContainerContext`.
    pub type_name: &'static str,
    /// Column to title, of all columns: `("ID", "CONTAINER ID")`.
    pub titles: &'static [(&'static str, &'static str)],
    /// What `table` alone means, without `table `.
    pub table: &'static str,
    /// What `raw` means; `None`: nothing else than any other text.
    pub raw: Option<&'static str>,
}

/// A parsed `--format`.
#[derive(Debug)]
pub struct Format {
    template: Template,
    table: bool,
}

impl Format {
    /// Parses `text`: a template, `table TEMPLATE`, `table` (also empty) for the listing's own
    /// table, `json`, or `raw`.
    pub fn parse(text: &str, listing: &Listing) -> Result<Self, Error> {
        let (template, table) = match text {
            "" | "table" => (listing.table, true),
            "json" => ("{{json .}}", false),
            "raw" if listing.raw.is_some() => (listing.raw.unwrap_or_default(), false),
            text => match text.strip_prefix("table") {
                Some(template) => (template, true),
                None => (text, false),
            },
        };
        let template = template.trim_matches(' ');
        let template = template.replace("\\t", "\t").replace("\\n", "\n");
        Ok(Self { template: Template::parse(&template)?, table })
    }

    /// Prints all rows, each on its own line, a table with its titles above.
    pub fn render(&self, listing: &Listing, rows: &[Row]) -> Result<String, Error> {
        let mut text = String::new();
        if self.table {
            // As in Docker: what fails in the titles is left out.
            let titles = Data::header(listing.titles);
            text.push_str(&self.template.execute(&titles).unwrap_or_default());
            text.push('\n');
        }
        for row in rows {
            let data = Data::row(&row.columns, &row.labels, listing.type_name);
            text.push_str(&self.template.execute(&data)?);
            text.push('\n');
        }
        Ok(if self.table { align(&text) } else { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CONTAINERS: Listing = Listing {
        type_name: "*formatter.ContainerContext",
        titles: &[
            ("ID", "CONTAINER ID"),
            ("Names", "NAMES"),
            ("Labels", "LABELS"),
            ("Status", "STATUS"),
        ],
        table: "{{.ID}}\t{{.Status}}\t{{.Names}}",
        raw: None,
    };

    fn render(format: &str) -> Result<String, String> {
        let row = |id: &str, name: &str| Row {
            columns: vec![
                ("Names", json!(name)),
                ("ID", json!(id)),
                ("Labels", json!("com.x.y=zed")),
                ("Status", json!("<none>")),
            ],
            labels: BTreeMap::from([("com.x.y".into(), "zed".into())]),
        };
        let rows = [row("1f58407da8dc", "oracle"), row("b70337a86a03", "b")];
        let format = Format::parse(format, &CONTAINERS).map_err(|error| error.to_string())?;
        let text = format.render(&CONTAINERS, &rows);
        text.map_err(|error| error.to_string())
    }

    #[test]
    fn formats() {
        for (format, text) in [
            (
                "",
                "CONTAINER ID   STATUS    NAMES\n\
                 1f58407da8dc   <none>    oracle\n\
                 b70337a86a03   <none>    b\n",
            ),
            (
                "table {{.ID}}\\t{{.Names}}\\t{{.Label \"com.x.y\"}}",
                "CONTAINER ID   NAMES     y\n\
                 1f58407da8dc   oracle    zed\n\
                 b70337a86a03   b         zed\n",
            ),
            (
                "table{{upper .Names}} {{json .ID}} {{truncate .ID 3}} {{.Labels}}",
                "NAMES CONTAINER ID CONTAINER ID LABELS\n\
                 ORACLE \"1f58407da8dc\" 1f5 com.x.y=zed\n\
                 B \"b70337a86a03\" b70 com.x.y=zed\n",
            ),
            ("{{.ID}}\\n-", "1f58407da8dc\n-\nb70337a86a03\n-\n"),
            (" table {{.ID}}", "table 1f58407da8dc\ntable b70337a86a03\n"),
            ("{{.Label \"nope\"}}|", "|\n|\n"),
            (
                "json",
                "{\"ID\":\"1f58407da8dc\",\"Labels\":\"com.x.y=zed\",\"Names\":\"oracle\",\
                 \"Status\":\"\\u003cnone\\u003e\"}\n\
                 {\"ID\":\"b70337a86a03\",\"Labels\":\"com.x.y=zed\",\"Names\":\"b\",\
                 \"Status\":\"\\u003cnone\\u003e\"}\n",
            ),
        ] {
            assert_eq!(render(format).unwrap(), text, "{format}");
        }
    }

    #[test]
    fn errors() {
        for (format, message) in [
            (
                "{{.Foo}}",
                "template: :1:2: executing \"\" at <.Foo>: \
                 can't evaluate field Foo in type *formatter.ContainerContext",
            ),
            ("{{.ID", "template: :1: unclosed action"),
            (
                "{{.Label}}",
                "template: :1:2: executing \"\" at <.Label>: \
                 wrong number of args for Label: want 1 got 0",
            ),
            (
                "{{.ID \"x\"}}",
                "template: :1:2: executing \"\" at <.ID>: \
                 wrong number of args for ID: want 0 got 1",
            ),
        ] {
            assert_eq!(render(format).unwrap_err(), message, "{format}");
        }
    }
}
