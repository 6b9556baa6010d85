//! The instruction `HEALTHCHECK`.

use hull_format::GoDuration;
use serde_json::{Map, Value, json};

use super::invalid;
use crate::Result;

/// Reads `[--FLAG=VALUE ...] CMD command` or `NONE`; Docker's `HealthConfig`.
pub(super) fn health_check(arguments: &str) -> Result<Value> {
    let mut check = Map::new();
    let mut rest = arguments;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        rest = after.trim_start();
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let field = match name {
            "interval" => "Interval",
            "timeout" => "Timeout",
            "start-period" => "StartPeriod",
            "start-interval" => "StartInterval",
            "retries" => "Retries",
            _ => return Err(invalid(format!("Unknown flag: {name}"))),
        };
        let value = match name {
            "retries" => retries(value)?,
            _ => duration(value)?,
        };
        check.insert(field.into(), json!(value));
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    let test = match kind.to_ascii_uppercase().as_str() {
        "NONE" if command.is_empty() => json!(["NONE"]),
        "NONE" => return Err(invalid("HEALTHCHECK NONE takes no arguments".into())),
        "CMD" if command.is_empty() => {
            return Err(invalid("Missing command after HEALTHCHECK CMD".into()));
        }
        "CMD" => match serde_json::from_str::<Vec<String>>(command) {
            Ok(list) => json!([&["CMD".to_owned()], list.as_slice()].concat()),
            Err(_) => json!(["CMD-SHELL", command]),
        },
        _ => return Err(invalid(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)"))),
    };
    check.insert("Test".into(), test);
    Ok(Value::Object(check))
}

fn retries(text: &str) -> Result<i64> {
    match text.parse::<i64>() {
        Ok(count) if count >= 1 => Ok(count),
        Ok(count) => Err(invalid(format!("--retries must be at least 1 (not {count})"))),
        Err(_) => Err(invalid(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))),
    }
}

/// Nanoseconds.
fn duration(text: &str) -> Result<i64> {
    let GoDuration(nanoseconds) = text.parse().map_err(invalid)?;
    match nanoseconds {
        0 | 1_000_000.. => Ok(nanoseconds),
        _ => Err(invalid(format!("Interval {text:?} cannot be less than 1ms"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_with_their_flags() {
        let check = health_check("--interval=3s --retries=4 CMD curl -f localhost").unwrap();
        assert_eq!(check["Test"], json!(["CMD-SHELL", "curl -f localhost"]));
        assert_eq!((&check["Interval"], &check["Retries"]), (&json!(3_000_000_000_i64), &json!(4)));
        assert_eq!(health_check("cmd [\"a\"]").unwrap()["Test"], json!(["CMD", "a"]));
        assert_eq!(health_check("NONE").unwrap()["Test"], json!(["NONE"]));
        for text in ["NONE x", "CMD", "--x=1 CMD y", "--interval=x CMD y", "--retries=0 CMD y", "y"]
        {
            assert!(health_check(text).is_err(), "{text}");
        }
    }
}
