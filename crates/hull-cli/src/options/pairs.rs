//! Options of drivers: `--opt key=value`.

use std::collections::BTreeMap;

use crate::flags::Value;

/// Names and values; a name alone has an empty value.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Options(pub(crate) BTreeMap<String, String>);

impl Value for Options {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "map"
    }

    fn shown_default(&self) -> Option<String> {
        Some("map[]".into())
    }
}
