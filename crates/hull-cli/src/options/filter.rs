//! `--filter`.

use std::collections::BTreeMap;

use serde_json::json;

use crate::client::encode;
use crate::flags::Value;

/// Conditions, `key=value`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Filter(BTreeMap<String, Vec<String>>);

impl Filter {
    /// Adds a condition.
    pub(crate) fn add(&mut self, key: &str, value: &str) {
        self.0.entry(key.to_owned()).or_default().push(value.to_owned());
    }

    /// True if there is a condition of `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Returns the conditions as they were given, in order of their keys.
    pub(crate) fn conditions(&self) -> Vec<String> {
        let all = self.0.iter();
        all.flat_map(|(key, values)| values.iter().map(move |value| format!("{key}={value}")))
            .collect()
    }

    /// Returns the conditions as a parameter of a query.
    pub(crate) fn parameter(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        format!("&filters={}", encode(&json!(self.0).to_string()))
    }
}

impl Value for Filter {
    fn set(&mut self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let (key, value) =
            text.split_once('=').ok_or("bad format of filter (expected name=value)")?;
        self.add(&key.trim().to_lowercase(), value.trim());
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "filter"
    }
}
