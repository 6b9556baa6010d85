//! `--mount`.

use std::path::absolute;

use serde_json::{Map, Value as Json, json};

use crate::flags::Value;

/// Mounts, as objects of Docker's API.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mounts(Vec<Json>);

impl Mounts {
    pub(crate) fn json(&self) -> Json {
        Json::Array(self.0.clone())
    }
}

impl Value for Mounts {
    fn set(&mut self, text: &str) -> Result<(), String> {
        self.0.push(parse(text)?);
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "mount"
    }
}

fn parse(text: &str) -> Result<Json, String> {
    let mut mount = Mount { kind: "volume".into(), ..Mount::default() };
    for field in fields(text)? {
        mount.add(&field)?;
    }
    mount.check()?;
    Ok(mount.json())
}

/// A mount while its fields are read.
#[derive(Debug, Default)]
struct Mount {
    kind: String,
    source: String,
    target: String,
    read_only: bool,
    consistency: String,
    bind: Map<String, Json>,
    volume: Map<String, Json>,
    tmpfs: Map<String, Json>,
}

impl Mount {
    fn add(&mut self, field: &str) -> Result<(), String> {
        let Some((key, value)) = field.split_once('=') else {
            return self.switch(field);
        };
        let key = key.to_lowercase();
        let invalid = || format!("invalid value for {key}: {value}");
        let flag = || {
            let mut flag = false;
            flag.set(value).map(|()| flag).map_err(|_| invalid())
        };
        let put = |options: &mut Map<String, Json>, name: &str, value: Json| {
            options.insert(name.into(), value);
        };
        match key.as_str() {
            "type" => self.kind = value.to_lowercase(),
            "source" | "src" => self.source = source(value),
            "target" | "dst" | "destination" => value.clone_into(&mut self.target),
            "readonly" | "ro" => self.read_only = flag()?,
            "consistency" => self.consistency = value.to_lowercase(),
            "bind-propagation" => {
                put(&mut self.bind, "Propagation", json!(value.to_lowercase()));
            }
            "bind-nonrecursive" => put(&mut self.bind, "NonRecursive", json!(flag()?)),
            "bind-recursive" => match value {
                "enabled" => {}
                "disabled" => put(&mut self.bind, "NonRecursive", json!(true)),
                "writable" => put(&mut self.bind, "ReadOnlyNonRecursive", json!(true)),
                "readonly" => put(&mut self.bind, "ReadOnlyForceRecursive", json!(true)),
                _ => {
                    return Err(format!(
                        "{} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")",
                        invalid()
                    ));
                }
            },
            "volume-subpath" => put(&mut self.volume, "Subpath", json!(value)),
            "volume-nocopy" => put(&mut self.volume, "NoCopy", json!(flag()?)),
            "volume-label" => pair(object(&mut self.volume, "Labels"), value),
            "volume-driver" => {
                put(object(&mut self.volume, "DriverConfig"), "Name", json!(value));
            }
            "volume-opt" => {
                pair(object(object(&mut self.volume, "DriverConfig"), "Options"), value);
            }
            "tmpfs-size" => {
                let size = hull_format::ram_in_bytes(value).map_err(|_| invalid())?;
                put(&mut self.tmpfs, "SizeBytes", json!(size));
            }
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8).map_err(|_| invalid())?;
                put(&mut self.tmpfs, "Mode", json!(mode));
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }

    fn switch(&mut self, field: &str) -> Result<(), String> {
        match field.to_lowercase().as_str() {
            "readonly" | "ro" => self.read_only = true,
            "volume-nocopy" => drop(self.volume.insert("NoCopy".into(), json!(true))),
            "bind-nonrecursive" => drop(self.bind.insert("NonRecursive".into(), json!(true))),
            _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.kind.is_empty() {
            return Err("type is required".into());
        }
        if self.target.is_empty() {
            return Err("target is required".into());
        }
        for (kind, options) in
            [("volume", &self.volume), ("bind", &self.bind), ("tmpfs", &self.tmpfs)]
        {
            if !options.is_empty() && self.kind != kind {
                return Err(format!(
                    "cannot mix '{kind}-*' options with mount type '{}'",
                    self.kind
                ));
            }
        }
        let asks = |option: &str| self.bind.get(option) == Some(&json!(true));
        for (option, word) in
            [("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")]
        {
            if asks(option) && !self.read_only {
                return Err(format!(
                    "option 'bind-recursive={word}' requires 'readonly' to be specified in \
                     conjunction"
                ));
            }
        }
        if asks("ReadOnlyForceRecursive")
            && self.bind.get("Propagation") != Some(&json!("rprivate"))
        {
            return Err(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to \
                        be specified in conjunction"
                    .into(),
            );
        }
        Ok(())
    }

    fn json(self) -> Json {
        let mut mount = Map::new();
        for (name, text) in [
            ("Type", self.kind),
            ("Source", self.source),
            ("Target", self.target),
            ("Consistency", self.consistency),
        ] {
            if !text.is_empty() {
                mount.insert(name.into(), json!(text));
            }
        }
        if self.read_only {
            mount.insert("ReadOnly".into(), json!(true));
        }
        for (name, options) in [
            ("BindOptions", self.bind),
            ("VolumeOptions", self.volume),
            ("TmpfsOptions", self.tmpfs),
        ] {
            if !options.is_empty() {
                mount.insert(name.into(), Json::Object(options));
            }
        }
        Json::Object(mount)
    }
}

/// Splits a line of comma-separated values, which may be quoted.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return Err("parse error on line 1: bare \" in non-quoted field".into());
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => {
                return Err(
                    "parse error on line 1: extraneous or missing \" in quoted-field".into()
                );
            }
        }
    }
}

/// Reads a field behind its opening quote; two quotes stand for one.
fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            return Err("parse error on line 1: extraneous or missing \" in quoted-field".into());
        };
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, after)),
        }
    }
}

/// The daemon has another working directory.
fn source(text: &str) -> String {
    let is_relative = text == "." || text.starts_with("./") || text.starts_with("../");
    match absolute(text) {
        Ok(path) if is_relative => path.to_string_lossy().into_owned(),
        _ => text.to_owned(),
    }
}

fn object<'a>(map: &'a mut Map<String, Json>, name: &str) -> &'a mut Map<String, Json> {
    let entry = map.entry(name).or_insert_with(|| Json::Object(Map::new()));
    if !entry.is_object() {
        *entry = Json::Object(Map::new());
    }
    match entry {
        Json::Object(object) => object,
        _ => unreachable!("it was made an object"),
    }
}

fn pair(map: &mut Map<String, Json>, text: &str) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if !key.is_empty() {
        map.insert(key.into(), json!(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_sends() {
        for (text, sent) in [
            (
                "type=bind,src=/a,dst=/b,ro,bind-propagation=rslave",
                json!({"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true,
                       "BindOptions": {"Propagation": "rslave"}}),
            ),
            (
                "source=v,target=/b,volume-nocopy,volume-opt=size=1g,volume-label=a=b=c",
                json!({"Type": "volume", "Source": "v", "Target": "/b", "VolumeOptions": {
                    "NoCopy": true, "Labels": {"a": "b=c"},
                    "DriverConfig": {"Options": {"size": "1g"}}}}),
            ),
            (
                "type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1770",
                json!({"Type": "tmpfs", "Target": "/t",
                       "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}}),
            ),
            (
                "type=bind,\"source=/a,b\",target=/c,readonly=false",
                json!({"Type": "bind", "Source": "/a,b", "Target": "/c"}),
            ),
        ] {
            assert_eq!(parse(text).unwrap(), sent, "{text}");
        }
    }

    #[test]
    fn dockers_words() {
        for (text, message) in [
            ("type=bind,source=/a", "target is required"),
            ("type=,target=/a", "type is required"),
            ("target=/a,foo=1", "unexpected key 'foo' in 'foo=1'"),
            ("target=/a,foo", "invalid field 'foo' must be a key=value pair"),
            ("target=/a,ro=x", "invalid value for ro: x"),
            (
                "type=bind,target=/a,volume-nocopy",
                "cannot mix 'volume-*' options with mount type 'bind'",
            ),
            ("type=tmpfs,target=/a,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ] {
            assert_eq!(parse(text).unwrap_err(), message, "{text}");
        }
    }
}
