//! `hull events`.

use http::Method;
use http_body_util::BodyExt as _;
use hull_format::{Data, Template};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::logs::moment;
use super::{Command, Invocation, inspect};
use crate::client::ClientError;
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Filter;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "events",
    arguments: "[OPTIONS]",
    about: "Get real time events from the server",
    aliases: &["system events", "events"],
    run,
};

/// How an event is printed.
enum Format {
    Line,
    Json,
    Template(Template),
}

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut filter = Filter::default();
    let mut format = String::new();
    let mut since = String::new();
    let mut until = String::new();
    let mut flags = invocation.flags();
    flags.both(&mut filter, 'f', "filter", "Filter output based on conditions provided");
    flags.long(&mut format, "format", inspect::FORMAT);
    flags.long(&mut since, "since", "Show all events created since timestamp");
    flags.long(&mut until, "until", "Stream events until this timestamp");
    flags.parse(arguments, Arity::None)?;
    let format = match format.as_str() {
        "" => Format::Line,
        "json" | "{{json .}}" => Format::Json,
        text => Format::Template(template(text).map_err(|error| Failure::Message {
            text: format!("Error parsing format: {error}"),
            hint: None,
            code: 64,
        })?),
    };
    let mut path = format!("/events?{}", filter.parameter().trim_start_matches('&'));
    for (name, text) in [("since", &since), ("until", &until)] {
        if !text.is_empty() {
            path.push_str(&format!("&{name}={}", moment(name, text)?));
        }
    }
    invocation.wait_for(async {
        let response = invocation.client().send(Method::GET, &path, None).await?;
        let mut body = response.into_body();
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(ClientError::Http)?.into_data() else { continue };
            rest.extend_from_slice(&data);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let event = serde_json::from_slice(&line).map_err(ClientError::Json)?;
                output::line(&show(&event, &format)?)?;
            }
        }
        Ok(())
    })
}

/// Parses a template, and tries it as docker's client does before it asks for anything.
fn template(text: &str) -> Result<Template, hull_format::Error> {
    let template = Template::parse(text)?;
    template.execute(&fields(&json!({"Actor": {"ID": "", "Attributes": {}}})))?;
    Ok(template)
}

/// The fields by the names that they have in Go.
fn fields(event: &Value) -> Data {
    Data::inspect(&json!({
        "Status": event["status"],
        "ID": event["id"],
        "From": event["from"],
        "Type": event["Type"],
        "Action": event["Action"],
        "Actor": event["Actor"],
        "Scope": event["scope"],
        "Time": event["time"],
        "TimeNano": event["timeNano"],
    }))
}

fn show(event: &Value, format: &Format) -> Result<String, Failure> {
    match format {
        Format::Line => Ok(line(event)),
        Format::Json => Ok(event.to_string()),
        Format::Template(template) => {
            template.execute(&fields(event)).map_err(|error| Failure::new(error.to_string()))
        }
    }
}

/// As docker's `prettyPrintEvent`.
fn line(event: &Value) -> String {
    let nanos = event["timeNano"].as_i64().unwrap_or(0);
    let time = Timestamp::from_nanosecond(nanos.into()).unwrap_or_default();
    let time = time.to_zoned(TimeZone::system());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut line = format!(
        "{} {} {} {}",
        match time.offset().is_zero() {
            true => time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string(),
            false => time.strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string(),
        },
        text(&event["Type"]),
        text(&event["Action"]),
        text(&event["Actor"]["ID"]),
    );
    if let Some(attributes) = event["Actor"]["Attributes"].as_object()
        && !attributes.is_empty()
    {
        let mut pairs: Vec<_> =
            attributes.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
        pairs.sort();
        line.push_str(&format!(" ({})", pairs.join(", ")));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_dockers() {
        let event = json!({
            "Type": "container", "Action": "die", "timeNano": 1_000_000_005_i64,
            "Actor": {"ID": "c0ffee", "Attributes": {"name": "box", "exitCode": "3"}},
        });
        let shown = line(&event);
        assert!(shown.starts_with("1970-01-01T"), "{shown}");
        assert!(shown.contains(":01.000000005"), "{shown}");
        assert!(shown.ends_with(" container die c0ffee (exitCode=3, name=box)"), "{shown}");
    }
}
