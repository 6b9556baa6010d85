//! `config.toml` in the state directory: what the daemon does otherwise than by default.
//!
//! ```toml
//! [templates]
//! enabled = true
//! max_size = "2GiB"   # least recently used ones go first
//!
//! [pool]
//! size = 1            # machines that wait for a container
//! memory = "512MiB"   # that they may take together
//! trials = true       # the next one runs the program of its image for practice
//! ```
//!
//! Read strictly: a key that there is not is an error, and so is a value that makes no sense.

use std::fs;
use std::io;
use std::path::Path;

use hull_engine::{PoolSettings, TemplateSettings};
use toml::{Table, Value};

use crate::error::Failure;

/// What the file says, and defaults for the rest.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Config {
    pub(super) templates: TemplateSettings,
    pub(super) pool: PoolSettings,
}

impl Config {
    /// Reads the file `path`; where there is none, all is by default.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::new(format!("cannot read {shown}: {error}"))),
        };
        Self::parse(&text)
            .map_err(|Wrong { what, hint }| Failure::with_hint(format!("{shown}: {what}"), hint))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let file: Table = text.parse().map_err(|error| syntax(text, &error))?;
        let mut config = Self::default();
        for (name, value) in &file {
            let set: fn(&mut Self, Key<'_>) -> Result<(), Wrong> = match name.as_str() {
                "pool" => Self::set_pool,
                "templates" => Self::set_templates,
                _ => {
                    return Err(Wrong {
                        what: format!("unknown section or key `{name}`"),
                        hint: "there are the sections [pool] and [templates]".into(),
                    });
                }
            };
            let Value::Table(section) = value else {
                return Err(Wrong {
                    what: format!("`{name}` is not a section"),
                    hint: format!("write [{name}] and its keys below it"),
                });
            };
            for (key, value) in section {
                set(&mut config, Key { section: name, name: key, value })?;
            }
        }
        Ok(config)
    }

    fn set_templates(&mut self, key: Key<'_>) -> Result<(), Wrong> {
        match key.name {
            "enabled" => self.templates.enabled = key.boolean()?,
            "max_size" => {
                self.templates.max_bytes = key.bytes()?;
                if self.templates.max_bytes == 0 {
                    return Err(key.wrong("leaves no room", "for no templates: enabled = false"));
                }
            }
            _ => return Err(key.unknown("enabled, max_size")),
        }
        Ok(())
    }

    fn set_pool(&mut self, key: Key<'_>) -> Result<(), Wrong> {
        match key.name {
            "memory" => self.pool.max_bytes = key.bytes()?,
            "size" => self.pool.size = key.count()?,
            "trials" => self.pool.trials = key.boolean()?,
            _ => return Err(key.unknown("memory, size, trials")),
        }
        Ok(())
    }
}

/// A key in a section, and what it is set to.
#[derive(Clone, Copy, Debug)]
struct Key<'a> {
    section: &'a str,
    name: &'a str,
    value: &'a Value,
}

impl Key<'_> {
    fn boolean(self) -> Result<bool, Wrong> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong("is neither true nor false", "write it without quotes"))
    }

    fn count(self) -> Result<usize, Wrong> {
        let count = self.value.as_integer().and_then(|number| usize::try_from(number).ok());
        count.filter(|count| *count <= MOST).ok_or_else(|| {
            self.wrong("is not a count", format!("give a whole number from 0 to {MOST}"))
        })
    }

    /// A number of bytes, or a text with a unit.
    fn bytes(self) -> Result<u64, Wrong> {
        let bytes = match self.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) => {
                hull_format::ram_in_bytes(text).ok().and_then(|bytes| bytes.try_into().ok())
            }
            _ => None,
        };
        bytes.ok_or_else(|| self.wrong("is not a size", "give a size such as \"512MiB\" or \"2g\""))
    }

    fn wrong(self, why: &str, hint: impl Into<String>) -> Wrong {
        let Self { section, name, value } = self;
        let value = match value {
            Value::Array(_) => "a list".to_owned(),
            Value::Boolean(value) => value.to_string(),
            Value::Datetime(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::String(text) => format!("{text:?}"),
            Value::Table(_) => "a section".to_owned(),
        };
        Wrong { what: format!("`{section}.{name}`: {value} {why}"), hint: hint.into() }
    }

    fn unknown(self, known: &str) -> Wrong {
        let Self { section, name, .. } = self;
        Wrong {
            what: format!("unknown key `{section}.{name}`"),
            hint: format!("keys of [{section}] are: {known}"),
        }
    }
}

/// What is wrong with the file, and how to mend it.
#[derive(Debug)]
struct Wrong {
    what: String,
    hint: String,
}

fn syntax(text: &str, error: &toml::de::Error) -> Wrong {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    Wrong {
        what: format!("line {line}: {message}"),
        hint: "the file is TOML: [section], then lines of key = value, texts in quotes".into(),
    }
}

/// More machines than anybody would have waiting.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_by_default() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        let config = Config::parse("[pool]\nsize = 0\n[templates]\nmax_size = '1.5 GiB'").unwrap();
        assert_eq!(config.pool, PoolSettings { size: 0, ..PoolSettings::default() });
        assert_eq!(config.templates.max_bytes, 3 << 29);
        assert!(config.templates.enabled);
        let config = Config::parse("templates.enabled = false\npool.memory = 1048576").unwrap();
        assert!(!config.templates.enabled);
        assert_eq!(config.pool.max_bytes, 1 << 20);
        assert!(!Config::parse("pool.trials = false").unwrap().pool.trials);
    }

    #[test]
    fn mistakes_are_named() {
        let all: Vec<String> = [
            "[template]",
            "pool = 3",
            "[pool]\nsizes = 3",
            "[pool]\nsize = -1",
            "[pool]\nsize = 1.5",
            "[pool]\nsize = \"2\"",
            "[pool]\nmemory = \"2 bananas\"",
            "[pool.size]\na = 1",
            "[templates]\nenabled = \"yes\"",
            "[templates]\nmax_size = 0",
            "[templates]\nmax_size = [1]",
            "[templates]\nenabled = true\nenabled = false",
            "[templates]\n\nmax_size = 2GiB",
            "[templates",
        ]
        .iter()
        .map(|text| Config::parse(text).unwrap_err())
        .map(|wrong| format!("{}\n  hint: {}", wrong.what, wrong.hint))
        .collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn a_file_that_is_not_there_is_no_mistake() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Config::read(&dir.path().join("no.toml")).unwrap(), Config::default());
        let failure = Config::read(dir.path()).unwrap_err().to_string();
        assert!(failure.starts_with(&format!("cannot read {}", dir.path().display())));
    }
}
