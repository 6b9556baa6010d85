//! Instructions of a Dockerfile that change the configuration of an image: `--change` of
//! `commit` and `import`.

use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// Changes `config`, the `config` object of an image.
pub(super) fn apply(config: &mut Value, instructions: &[String]) -> Result<()> {
    for text in instructions.iter().flat_map(|text| text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (name, arguments) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let name = name.to_ascii_uppercase();
        let arguments = arguments.trim();
        if arguments.is_empty() && KNOWN.contains(&name.as_str()) {
            return Err(invalid(format!("{name} requires at least one argument")));
        }
        match name.as_str() {
            "CMD" => config["Cmd"] = command(arguments),
            "ENTRYPOINT" => config["Entrypoint"] = command(arguments),
            "USER" => config["User"] = json!(unquoted(arguments)),
            "WORKDIR" => config["WorkingDir"] = json!(directory(config, &unquoted(arguments))),
            "ENV" => {
                for (key, value) in pairs("ENV", arguments)? {
                    set_variable(config, &key, &value);
                }
            }
            "LABEL" => {
                for (key, value) in pairs("LABEL", arguments)? {
                    object(config, "Labels").insert(key, json!(value));
                }
            }
            "EXPOSE" => {
                for port in words(arguments) {
                    let port = if port.contains('/') { port } else { format!("{port}/tcp") };
                    object(config, "ExposedPorts").insert(port, json!({}));
                }
            }
            "VOLUME" => {
                let paths = serde_json::from_str(arguments).unwrap_or_else(|_| words(arguments));
                for path in paths {
                    object(config, "Volumes").insert(path, json!({}));
                }
            }
            "ONBUILD" => match &mut config["OnBuild"] {
                Value::Array(list) => list.push(json!(arguments)),
                other => *other = json!([arguments]),
            },
            "HEALTHCHECK" => config["Healthcheck"] = health_check(arguments)?,
            _ => {
                return Err(invalid(format!(
                    "{} is not a valid change command",
                    name.to_lowercase()
                )));
            }
        }
    }
    Ok(())
}

/// A list in JSON, or a line for the shell.
fn command(arguments: &str) -> Value {
    match serde_json::from_str::<Vec<String>>(arguments) {
        Ok(list) => json!(list),
        Err(_) => json!(["/bin/sh", "-c", arguments]),
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

fn health_check(arguments: &str) -> Result<Value> {
    let (kind, rest) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
    match kind.to_ascii_uppercase().as_str() {
        "NONE" => Ok(json!({"Test": ["NONE"]})),
        "CMD" => Ok(match serde_json::from_str::<Vec<String>>(rest.trim()) {
            Ok(list) => {
                let test = [&["CMD".to_owned()], list.as_slice()].concat();
                json!({"Test": test})
            }
            Err(_) => json!({"Test": ["CMD-SHELL", rest.trim()]}),
        }),
        _ => Err(invalid(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)"))),
    }
}

/// `key=value ...`, or `key value` as it was once written.
fn pairs(name: &str, arguments: &str) -> Result<Vec<(String, String)>> {
    let words = words(arguments);
    if !words.first().is_some_and(|word| word.contains('=')) {
        let (key, value) = arguments
            .split_once(char::is_whitespace)
            .ok_or_else(|| invalid(format!("{name} must have two arguments")))?;
        return Ok(vec![(unquoted(key), value.trim().to_owned())]);
    }
    let pair = |word: &String| match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(invalid(format!(
            "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
        ))),
    };
    words.iter().map(pair).collect()
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

fn unquoted(text: &str) -> String {
    words(text).join(" ")
}

/// Splits a line at its spaces; quotes and backslashes keep parts together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                word.get_or_insert_default().extend(characters.next());
            }
            (None, space) if space.is_whitespace() => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

fn invalid(message: String) -> Error {
    Error::InvalidParameter(message)
}

const KNOWN: [&str; 10] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "USER",
    "VOLUME",
    "WORKDIR",
];

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
            "EXPOSE 80 53/udp",
            "VOLUME /data /more",
            "WORKDIR sub",
            "USER nobody",
        ];
        apply(&mut config, &instructions.map(str::to_owned)).unwrap();
        assert_eq!(config["Env"], json!(["A=x", "B=2", "C=two words", "D=four words here"]));
        assert_eq!(config["Labels"], json!({"a": "b", "c d": "e f"}));
        assert_eq!(config["Cmd"], json!(["top", "-b"]));
        assert_eq!(config["Entrypoint"], json!(["/bin/sh", "-c", "exec top"]));
        assert_eq!(config["ExposedPorts"], json!({"80/tcp": {}, "53/udp": {}}));
        assert_eq!(config["Volumes"], json!({"/data": {}, "/more": {}}));
        assert_eq!(config["WorkingDir"], "/w/sub");
        assert_eq!(config["User"], "nobody");
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["RUN x", "ENV", "ENV a", "LABEL =x", "STOPSIGNAL 9"] {
            assert!(apply(&mut json!({}), &[text.to_owned()]).is_err(), "{text}");
        }
    }
}
