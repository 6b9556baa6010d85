//! `--label`.

use std::collections::BTreeMap;

use crate::flags::Value;

/// Labels: `key=value`, or a key alone with an empty value.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Labels(pub(crate) BTreeMap<String, String>);

impl Labels {
    /// Adds a label as it was written.
    pub(crate) fn add(&mut self, text: &str) {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        self.0.insert(key.to_owned(), value.to_owned());
    }
}

impl Value for Labels {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let blank = [' ', '\t'];
        let key = text.split('=').next().unwrap_or_default().trim_start_matches(blank);
        if key.is_empty() {
            return Err(format!("invalid label '{text}': empty name"));
        }
        if key.contains(blank) {
            return Err(format!("label '{key}' contains whitespaces"));
        }
        self.add(text);
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "list"
    }
}
