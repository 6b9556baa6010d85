//! Objects of requests.

use serde_json::{Map, Value as Json};

/// An object without the fields that say nothing.
#[derive(Debug, Default)]
pub(crate) struct Sparse(pub(crate) Map<String, Json>);

impl Sparse {
    /// Adds a field, unless it says nothing.
    pub(crate) fn put(&mut self, name: &str, value: Json) {
        let says_nothing = match &value {
            Json::Null => true,
            Json::Bool(value) => !value,
            Json::Number(value) => value.as_i64() == Some(0),
            Json::String(value) => value.is_empty(),
            Json::Array(values) => values.is_empty(),
            Json::Object(values) => values.is_empty(),
        };
        if !says_nothing {
            self.0.insert(name.into(), value);
        }
    }
}
