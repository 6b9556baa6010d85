//! Where a container's output goes: log drivers and their options.

use std::collections::BTreeMap;

use hull_format::{Data, Template};
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{ContainerConfig, Error};

/// What a container asks for, Docker's `LogConfig`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct LogConfig {
    /// Empty: `json-file`.
    pub driver: String,
    pub options: BTreeMap<String, String>,
}

/// What that means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogPlan {
    pub driver: LogDriver,
    /// Bytes after which a new file is begun; `None`: never.
    pub max_size: Option<u64>,
    /// How many files are kept, the current one among them.
    pub max_file: u32,
    /// Whether the older ones are compressed.
    pub compress: bool,
}

/// Log drivers that Hull has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogDriver {
    JsonFile,
    /// As `json-file`, limited in size unless asked otherwise.
    Local,
    /// systemd's journal.
    Journald,
    None,
}

/// Facts that a `tag` may tell.
#[derive(Clone, Copy, Debug)]
pub struct LogFacts<'a> {
    /// 64 hexadecimal digits.
    pub id: &'a str,
    pub name: &'a str,
    /// `sha256:<hex>`.
    pub image_id: &'a str,
}

impl LogConfig {
    /// Returns what the configuration means.
    ///
    /// # Errors
    /// No such driver, or an option that it does not have or that makes no sense.
    pub fn plan(&self) -> Result<LogPlan, Error> {
        let driver = match self.driver.as_str() {
            "" | "json-file" => LogDriver::JsonFile,
            "local" => LogDriver::Local,
            "none" => LogDriver::None,
            "journald" => LogDriver::Journald,
            name => {
                return Err(Error::invalid(format!(
                    "logger: no log driver named '{name}' is registered"
                )));
            }
        };
        let known: &[&str] = match driver {
            LogDriver::JsonFile => &JSON_FILE,
            LogDriver::Local => &["compress", "max-file", "max-size"],
            LogDriver::Journald => &["env", "env-regex", "labels", "labels-regex", "tag"],
            LogDriver::None => &[],
        };
        let shown = if self.driver.is_empty() { "json-file" } else { &self.driver };
        for key in self.options.keys() {
            match key.as_str() {
                key if known.contains(&key) => {}
                "mode" | "max-buffer-size" => {}
                _ => {
                    return Err(Error::invalid(format!(
                        "unknown log opt '{key}' for {shown} log driver"
                    )));
                }
            }
        }
        let default = match driver {
            // moby's `local`: 100 MB in all.
            LogDriver::Local => {
                LogPlan { driver, max_size: Some(20_000_000), max_file: 5, compress: false }
            }
            driver => LogPlan { driver, max_size: None, max_file: 1, compress: false },
        };
        self.check_mode()?;
        self.limits(default)
    }

    /// Checks how a container waits for its log. Both modes come to the same here: all drivers
    /// write to a file of this host, and what that takes does not hold up the container.
    fn check_mode(&self) -> Result<(), Error> {
        let option = |key: &str| self.options.get(key).map_or("", String::as_str);
        let mode = option("mode");
        if !matches!(mode, "" | "blocking" | "non-blocking") {
            return Err(Error::invalid(format!("logger: logging mode not supported: {mode}")));
        }
        match option("max-buffer-size") {
            "" => Ok(()),
            _ if mode != "non-blocking" => Err(Error::invalid(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            )),
            size => match hull_format::human_size_in_bytes(size) {
                Ok(_) => Ok(()),
                Err(error) => {
                    Err(Error::invalid(format!("error parsing option max-buffer-size: {error}")))
                }
            },
        }
    }

    fn limits(&self, mut plan: LogPlan) -> Result<LogPlan, Error> {
        let option = |key: &str| self.options.get(key).map(String::as_str);
        if let Some(text) = option("max-size") {
            let size = hull_format::human_size_in_bytes(text)
                .map_err(|error| Error::invalid(format!("invalid value for max-size: {error}")))?;
            let Some(size) = u64::try_from(size).ok().filter(|size| *size > 0) else {
                return Err(Error::invalid("max-size must be a positive number"));
            };
            plan.max_size = Some(size);
        }
        if let Some(text) = option("max-file") {
            let count = text.parse::<i64>().map_err(|_| {
                Error::invalid(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
            })?;
            if count < 1 {
                return Err(Error::invalid("max-file cannot be less than 1"));
            }
            plan.max_file = u32::try_from(count).unwrap_or(u32::MAX);
        }
        plan.compress = match option("compress") {
            None => false,
            // What Go's `strconv.ParseBool` takes.
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some(text) => {
                return Err(Error::invalid(format!(
                    "strconv.ParseBool: parsing {text:?}: invalid syntax"
                )));
            }
        };
        if plan.compress && (plan.max_file < 2 || plan.max_size.is_none()) {
            return Err(Error::invalid(match plan.driver {
                LogDriver::Local => "compression cannot be enabled when max file count is 1",
                _ => "compress cannot be true when max-file is less than 2 or max-size is not set",
            }));
        }
        for key in ["env-regex", "labels-regex"] {
            self.pattern(key)?;
        }
        Ok(plan)
    }

    fn pattern(&self, key: &str) -> Result<Option<Regex>, Error> {
        let text = self.options.get(key).filter(|text| !text.is_empty());
        text.map(|text| Regex::new(text))
            .transpose()
            .map_err(|error| Error::invalid(format!("error parsing regexp: {error}")))
    }

    /// Returns the attributes of every record: labels and variables that are asked for, and the
    /// tag.
    ///
    /// # Errors
    /// The tag is no template.
    pub fn attributes(
        &self,
        config: &ContainerConfig,
        facts: LogFacts<'_>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let list = |key: &str| {
            let text = self.options.get(key).map_or("", String::as_str);
            text.split(',').filter(|name| !name.is_empty())
        };
        let mut attributes = BTreeMap::new();
        for name in list("labels") {
            if let Some(value) = config.labels.get(name) {
                attributes.insert(name.to_owned(), value.clone());
            }
        }
        for name in list("env") {
            let variables = config.env.iter().filter_map(|text| text.split_once('='));
            if let Some((_, value)) = variables.into_iter().find(|(key, _)| *key == name) {
                attributes.insert(name.to_owned(), value.to_owned());
            }
        }
        let variables = config.env.iter().filter_map(|text| text.split_once('='));
        let labels = config.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        add_matches(&mut attributes, self.pattern("labels-regex")?, labels);
        add_matches(&mut attributes, self.pattern("env-regex")?, variables);
        if let Some(tag) = self.tag(config, facts)? {
            attributes.insert("tag".into(), tag);
        }
        Ok(attributes)
    }

    /// Returns the fields of every record in the journal, as moby's `journald.New`.
    ///
    /// # Errors
    /// The tag is no template.
    pub fn journal_fields(
        &self,
        config: &ContainerConfig,
        facts: LogFacts<'_>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let tag = self.tag(config, facts)?.unwrap_or_else(|| short(facts.id));
        let mut fields = BTreeMap::new();
        for (name, value) in self.attributes(config, facts)? {
            if name != "tag" {
                // As the journal wants names: capitals, digits and underscores.
                let upper = name.to_ascii_uppercase();
                let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
                let name: String = upper.chars().map(fit).collect();
                fields.insert(name.trim_start_matches('_').to_owned(), value);
            }
        }
        fields.extend([
            ("CONTAINER_ID".to_owned(), short(facts.id)),
            ("CONTAINER_ID_FULL".to_owned(), facts.id.to_owned()),
            ("CONTAINER_NAME".to_owned(), facts.name.to_owned()),
            ("CONTAINER_TAG".to_owned(), tag.clone()),
            ("IMAGE_NAME".to_owned(), config.image.clone()),
            ("SYSLOG_IDENTIFIER".to_owned(), tag),
        ]);
        fields.remove("");
        Ok(fields)
    }

    fn tag(&self, config: &ContainerConfig, facts: LogFacts<'_>) -> Result<Option<String>, Error> {
        let template = self.options.get("tag").filter(|tag| !tag.is_empty());
        let tag = template.map(|template| tag_of(template, config, facts)).transpose();
        tag.map_err(|error| Error::invalid(format!("failed to parse log tag: {error}")))
    }
}

fn add_matches<'a>(
    attributes: &mut BTreeMap<String, String>,
    pattern: Option<Regex>,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) {
    if let Some(pattern) = pattern {
        let matching = pairs.filter(|(name, _)| pattern.is_match(name));
        attributes.extend(matching.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

fn short(id: &str) -> String {
    id.get(..12).unwrap_or(id).to_owned()
}

/// moby's `loggerutils.ParseLogTag`.
fn tag_of(
    template: &str,
    config: &ContainerConfig,
    facts: LogFacts<'_>,
) -> Result<String, hull_format::Error> {
    let image = facts.image_id.strip_prefix("sha256:").unwrap_or(facts.image_id);
    let value = json!({
        "ID": short(facts.id),
        "FullID": facts.id,
        "Name": facts.name,
        "ImageID": short(image),
        "ImageFullID": facts.image_id,
        "ImageName": config.image,
        "DaemonName": "hull",
    });
    Template::parse(template)?.execute(&Data::inspect(&value))
}

const JSON_FILE: [&str; 8] =
    ["compress", "env", "env-regex", "labels", "labels-regex", "max-file", "max-size", "tag"];

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        LogConfig { driver: driver.into(), options: options.collect() }
    }

    #[test]
    fn sizes_are_decimal_and_local_is_limited() {
        let plan = |driver, options| config(driver, options).plan().unwrap();
        let json = plan("", &[("max-size", "10k"), ("max-file", "3")]);
        assert_eq!((json.max_size, json.max_file), (Some(10_000), 3));
        assert_eq!(plan("json-file", &[]).max_size, None);
        assert_eq!(plan("local", &[]).max_file, 5);
    }

    #[test]
    fn mistakes_are_named() {
        for (driver, options, message) in [
            ("syslogd", &[][..], "logger: no log driver named 'syslogd' is registered"),
            ("", &[("x", "1")], "unknown log opt 'x' for json-file log driver"),
            ("local", &[("tag", "1")], "unknown log opt 'tag' for local log driver"),
            ("", &[("mode", "x")], "logger: logging mode not supported: x"),
            (
                "",
                &[("max-buffer-size", "1m")],
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            ("", &[("max-file", "0")], "max-file cannot be less than 1"),
            ("", &[("max-size", "0")], "max-size must be a positive number"),
            (
                "",
                &[("compress", "true"), ("max-size", "1k")],
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
        ] {
            assert_eq!(config(driver, options).plan().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn attributes_are_what_is_asked_for() {
        let mut of = ContainerConfig { image: "busybox".into(), ..ContainerConfig::default() };
        of.labels.insert("a".into(), "1".into());
        of.env = vec!["B=2".into(), "C=3".into()];
        let id = "0123456789abcdef";
        let facts = LogFacts { id, name: "web", image_id: "sha256:fedcba9876543210" };
        let asked =
            [("labels", "a,none"), ("env", "B"), ("tag", "{{.ImageName}}/{{.Name}}/{{.ID}}")];
        let attributes = config("", &asked).attributes(&of, facts).unwrap();
        let shown: Vec<_> = attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(shown, ["B=2", "a=1", "tag=busybox/web/0123456789ab"]);
        let matched = config("", &[("labels-regex", "^a"), ("env-regex", "[Cc]")]);
        let matched = matched.attributes(&of, facts).unwrap();
        assert_eq!(matched.into_iter().collect::<Vec<_>>().len(), 2);
        of.labels.insert("com.x/y".into(), "2".into());
        let journal = config("journald", &[("labels", "com.x/y")]);
        let fields = journal.journal_fields(&of, facts).unwrap();
        assert_eq!(fields["COM_X_Y"], "2");
        assert_eq!(fields["SYSLOG_IDENTIFIER"], "0123456789ab");
        assert!(config("", &[("tag", "{{.Nope")]).attributes(&of, facts).is_err());
    }
}
