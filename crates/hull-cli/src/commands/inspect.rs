//! `hull inspect`, `hull container inspect`, `hull image inspect`.

use hull_format::{Data, Template};
use serde_json::Value;

use super::{Command, Invocation};
use crate::client::{Client, encode};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "inspect",
    arguments: "[OPTIONS] NAME|ID [NAME|ID...]",
    about: "Return low-level information on Hull objects",
    aliases: &[],
    run: |invocation, arguments| run(invocation, arguments, Kind::Any),
};

pub(super) const CONTAINER: Command = Command {
    name: "inspect",
    arguments: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Display detailed information on one or more containers",
    aliases: &[],
    run: |invocation, arguments| run(invocation, arguments, Kind::Container),
};

pub(super) const IMAGE: Command = Command {
    name: "inspect",
    arguments: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Display detailed information on one or more images",
    aliases: &[],
    run: |invocation, arguments| run(invocation, arguments, Kind::Image),
};

pub(super) const VOLUME: Command = Command {
    name: "inspect",
    arguments: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Display detailed information on one or more volumes",
    aliases: &[],
    run: |invocation, arguments| run(invocation, arguments, Kind::Volume),
};

/// What is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Any,
    Container,
    Image,
    Network,
    Volume,
}

pub(super) fn run(
    invocation: &Invocation<'_>,
    arguments: &[String],
    kind: Kind,
) -> Result<(), Failure> {
    let mut format = String::new();
    let mut size = false;
    let mut only: Option<String> = None;
    // Docker shows tasks of a swarm then.
    let mut verbose = false;
    let mut flags = invocation.flags();
    flags.both(&mut format, 'f', "format", FORMAT);
    if matches!(kind, Kind::Any | Kind::Container) {
        flags.both(&mut size, 's', "size", "Display total file sizes if the type is container");
    }
    if kind == Kind::Network {
        flags.both(&mut verbose, 'v', "verbose", "Verbose output for diagnostics");
    }
    if kind == Kind::Any {
        flags.long(&mut only, "type", "Only inspect objects of the given type");
    }
    let names = flags.parse(arguments, Arity::AtLeast(1))?;
    let looked_for = match only.as_deref() {
        None => kind,
        Some("container") => Kind::Container,
        Some("image") => Kind::Image,
        Some("network") => Kind::Network,
        Some("volume") => Kind::Volume,
        Some(other) => {
            return Err(Failure::new(format!(
                "unknown type: {other:?}: must be one of \"container\", \"image\", \"network\", \
                 \"volume\""
            )));
        }
    };
    let printer = Printer::new(&format)?;
    invocation.wait_for(async {
        let client = invocation.client();
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for name in &names {
            match look_up(&client, name, looked_for, size).await {
                Ok(value) => found.push(value),
                Err(failure) => errors.push(failure.to_string()),
            }
        }
        printer.print(&found, &mut errors)?;
        if errors.is_empty() { Ok(()) } else { Err(Failure::new(errors.join("\n"))) }
    })
}

async fn look_up(
    client: &Client<'_>,
    name: &str,
    kind: Kind,
    size: bool,
) -> Result<Value, Failure> {
    let container = format!("/containers/{}/json?size={}", encode(name), u8::from(size));
    let image = format!("/images/{}/json", encode(name));
    let volume = format!("/volumes/{}", encode(name));
    let network = super::network::path(name);
    match kind {
        Kind::Container => Ok(client.get(&container).await?),
        Kind::Image => Ok(client.get(&image).await?),
        Kind::Network => Ok(client.get(&network?).await?),
        Kind::Volume => Ok(client.get(&volume).await?),
        Kind::Any => match client.get(&container).await {
            Ok(value) => Ok(value),
            Err(error) if error.is_not_found() => match client.get(&image).await {
                Ok(value) => {
                    if size {
                        output::error("WARNING: --size ignored for image");
                    }
                    Ok(value)
                }
                Err(error) if error.is_not_found() => match client.get(&network?).await {
                    Err(error) if error.is_not_found() => match client.get(&volume).await {
                        Err(error) if error.is_not_found() => {
                            Err(Failure::new(format!("Error: No such object: {name}")))
                        }
                        other => Ok(other?),
                    },
                    other => Ok(other?),
                },
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        },
    }
}

/// How objects are printed.
enum Printer {
    Compact,
    Indented,
    Template(Template),
}

impl Printer {
    fn new(format: &str) -> Result<Self, Failure> {
        match format {
            "" => Ok(Self::Indented),
            "json" => Ok(Self::Compact),
            text => template(text).map(Self::Template),
        }
    }

    fn print(&self, values: &[Value], errors: &mut Vec<String>) -> Result<(), Failure> {
        let template = match self {
            Self::Compact => return output::line(&Value::from(values).to_string()),
            Self::Indented => return output::line(&indented(values)),
            Self::Template(template) => template,
        };
        let mut text = String::new();
        for value in values {
            let shown = template
                .execute(&Data::typed(value))
                .or_else(|_| template.execute(&Data::untyped(value)));
            match shown {
                Ok(line) => text.push_str(&format!("{line}\n")),
                Err(error) => errors.push(format!("template parsing error: {error}")),
            }
        }
        // As docker's client, which ends even an empty output with a line feed.
        output::print(if text.is_empty() { "\n".into() } else { text })
    }
}

/// Parses a template that the user gave.
pub(super) fn template(text: &str) -> Result<Template, Failure> {
    Template::parse(text).map_err(|error| Failure::Message {
        text: format!("template parsing error: {error}"),
        hint: None,
        code: 64,
    })
}

/// JSON with four spaces per level, as docker prints it.
fn indented(values: &[Value]) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    match serde::Serialize::serialize(values, &mut serializer) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        // Values that were parsed from JSON can be written as JSON.
        Err(error) => error.to_string(),
    }
}

/// Help of `--format` where there are no tables.
pub(super) const FORMAT: &str = "Format output using a custom template:\n\
    'json':             Print in JSON format\n\
    'TEMPLATE':         Print output using the given Go template.";
