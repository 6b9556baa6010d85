//! Instructions of a Dockerfile that change the configuration of an image: `--change` of
//! `commit` and `import`.

mod health;
mod words;

use serde_json::{Map, Value, json};

use crate::{Error, Result};
use health::health_check;
use words::{Variables, word, words};

/// Changes `config`, the `config` object of an image.
pub(super) fn apply(config: &mut Value, instructions: &[String]) -> Result<()> {
    // Docker makes one file of them, and variables are those that this file sets.
    let file = instructions.join("\n").replace("\\\n", "");
    let mut variables = Variables::new();
    let mut has_command = false;
    let mut is_empty = !instructions.is_empty();
    for text in file.lines() {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        is_empty = false;
        let (name, arguments) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let name = name.to_ascii_uppercase();
        let arguments = arguments.trim();
        if arguments.is_empty() && NEED_ARGUMENTS.contains(&name.as_str()) {
            return Err(invalid(format!("{name} requires at least one argument")));
        }
        match name.as_str() {
            "CMD" => has_command |= set_command(config, "Cmd", arguments),
            "ENTRYPOINT" => {
                // The old command was for the old entry point.
                if set_command(config, "Entrypoint", arguments) && !has_command {
                    config["Cmd"] = Value::Null;
                }
            }
            "USER" => config["User"] = json!(word(arguments, &variables)),
            "WORKDIR" => {
                config["WorkingDir"] = json!(directory(config, &word(arguments, &variables)));
            }
            "ENV" => {
                for (key, value) in pairs("ENV", arguments, &variables)? {
                    set_variable(config, &key, &value);
                    variables.insert(key, value);
                }
            }
            "LABEL" => {
                for (key, value) in pairs("LABEL", arguments, &variables)? {
                    object(config, "Labels").insert(key, json!(value));
                }
            }
            "EXPOSE" => {
                for text in words(arguments, &variables) {
                    for port in exposed(&text)? {
                        object(config, "ExposedPorts").insert(port, json!({}));
                    }
                }
            }
            "VOLUME" => {
                let paths = serde_json::from_str(arguments)
                    .unwrap_or_else(|_| words(arguments, &variables));
                for path in paths {
                    object(config, "Volumes").insert(path, json!({}));
                }
            }
            "ONBUILD" => {
                check_trigger(arguments)?;
                match &mut config["OnBuild"] {
                    Value::Array(list) => list.push(json!(arguments)),
                    other => *other = json!([arguments]),
                }
            }
            "HEALTHCHECK" => config["Healthcheck"] = health_check(arguments)?,
            _ => {
                return Err(invalid(format!(
                    "{} is not a valid change command",
                    name.to_lowercase()
                )));
            }
        }
    }
    if is_empty {
        return Err(invalid("file with no instructions".into()));
    }
    Ok(())
}

/// Sets a command line, a list in JSON or a line for the shell; an empty list changes nothing.
fn set_command(config: &mut Value, field: &str, arguments: &str) -> bool {
    let list = match serde_json::from_str::<Vec<String>>(arguments) {
        Ok(list) => list,
        Err(_) if arguments.is_empty() && field == "Entrypoint" => Vec::new(),
        Err(_) => {
            let shell = ["/bin/sh", "-c", arguments].map(str::to_owned);
            shell.into_iter().filter(|word| !word.is_empty()).collect()
        }
    };
    if list.is_empty() {
        return false;
    }
    config[field] = json!(list);
    true
}

/// Reads `80`, `80-90` or `80/udp`.
fn exposed(text: &str) -> Result<Vec<String>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if !matches!(protocol.to_lowercase().as_str(), "tcp" | "udp" | "sctp") {
        return Err(invalid(format!("Invalid proto: {protocol}")));
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first <= last => {
            Ok((first..=last).map(|port| format!("{port}/{}", protocol.to_lowercase())).collect())
        }
        _ => Err(invalid(format!("Invalid containerPort: {range}"))),
    }
}

fn check_trigger(instruction: &str) -> Result<()> {
    let name = instruction.split_whitespace().next().unwrap_or_default().to_uppercase();
    match name.as_str() {
        "ONBUILD" => Err(invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into())),
        "FROM" | "MAINTAINER" => {
            Err(invalid(format!("{name} isn't allowed as an ONBUILD trigger")))
        }
        _ => Ok(()),
    }
}

fn directory(config: &Value, path: &str) -> String {
    match (path.starts_with('/'), config["WorkingDir"].as_str()) {
        (true, _) => path.to_owned(),
        (false, current) => {
            format!("{}/{path}", current.unwrap_or_default().trim_end_matches('/'))
        }
    }
}

/// `key=value ...`, or `key value` as it was once written.
fn pairs(name: &str, arguments: &str, variables: &Variables) -> Result<Vec<(String, String)>> {
    let is_pair = arguments.split_whitespace().next().is_some_and(|first| first.contains('='));
    if !is_pair && !arguments.starts_with(['"', '\'']) {
        let (key, value) = arguments
            .split_once(char::is_whitespace)
            .ok_or_else(|| invalid(format!("{name} must have two arguments")))?;
        return Ok(vec![(word(key, variables), word(value.trim(), variables))]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(invalid(format!(
            "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
        ))),
    };
    words(arguments, variables).into_iter().map(pair).collect()
}

fn set_variable(config: &mut Value, key: &str, value: &str) {
    let entry = json!(format!("{key}={value}"));
    let is_same = |old: &Value| {
        let old = old.as_str().unwrap_or_default();
        old.split_once('=').map_or(old, |(name, _)| name) == key
    };
    match &mut config["Env"] {
        Value::Array(list) => match list.iter_mut().find(|old| is_same(old)) {
            Some(old) => *old = entry,
            None => list.push(entry),
        },
        other => *other = json!([entry]),
    }
}

fn object<'a>(config: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    let value = &mut config[field];
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        // It was just made one.
        _ => unreachable!(),
    }
}

fn invalid(message: String) -> Error {
    Error::InvalidParameter(message)
}

const NEED_ARGUMENTS: [&str; 8] =
    ["ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "USER", "VOLUME", "WORKDIR"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_change_the_configuration() {
        let mut config = json!({"Env": ["A=1", "B=2"], "Labels": null, "WorkingDir": "/w"});
        let instructions = [
            "ENV A=x C=\"two words\"",
            "env D four words here",
            "LABEL a=b \"c d\"='e f'",
            "CMD [\"top\", \"-b\"]",
            "ENTRYPOINT exec top",
            "EXPOSE 80-81 53/udp",
            "ENV E=\"${A}y\" F=$UNSET",
            "VOLUME /data /more",
            "WORKDIR sub",
            "USER nobody",
        ];
        apply(&mut config, &instructions.map(str::to_owned)).unwrap();
        assert_eq!(
            config["Env"],
            json!(["A=x", "B=2", "C=two words", "D=four words here", "E=xy", "F="])
        );
        assert_eq!(config["Labels"], json!({"a": "b", "c d": "e f"}));
        assert_eq!(config["Cmd"], json!(["top", "-b"]));
        assert_eq!(config["Entrypoint"], json!(["/bin/sh", "-c", "exec top"]));
        assert_eq!(config["ExposedPorts"], json!({"80/tcp": {}, "81/tcp": {}, "53/udp": {}}));
        assert_eq!(config["Volumes"], json!({"/data": {}, "/more": {}}));
        assert_eq!(config["WorkingDir"], "/w/sub");
        assert_eq!(config["User"], "nobody");
    }

    #[test]
    fn a_new_entry_point_takes_the_command_away() {
        let change = |instructions: &[&str]| {
            let mut config = json!({"Cmd": ["old"], "Entrypoint": null});
            let instructions: Vec<String> = instructions.iter().map(|&i| i.to_owned()).collect();
            apply(&mut config, &instructions).unwrap();
            config
        };
        assert_eq!(change(&["ENTRYPOINT [\"a\"]"])["Cmd"], json!(null));
        assert_eq!(change(&["CMD x", "ENTRYPOINT y"])["Cmd"], json!(["/bin/sh", "-c", "x"]));
        assert_eq!(
            change(&["CMD []", "ENTRYPOINT []"]),
            json!({"Cmd": ["old"], "Entrypoint": null})
        );
        assert_eq!(change(&["CMD a\\\n b"])["Cmd"], json!(["/bin/sh", "-c", "a b"]));
    }

    #[test]
    fn nonsense_is_named() {
        let nonsense = [
            "RUN x",
            "ENV",
            "ENV a",
            "LABEL =x",
            "STOPSIGNAL 9",
            "# nothing",
            "EXPOSE x",
            "EXPOSE 1/x",
            "ONBUILD ONBUILD RUN x",
        ];
        for text in nonsense {
            assert!(apply(&mut json!({}), &[text.to_owned()]).is_err(), "{text}");
        }
    }
}
