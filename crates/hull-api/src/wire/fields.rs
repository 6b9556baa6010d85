//! Takes an object of a request apart so that no field is forgotten.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// Fields of a JSON object that have not been taken yet.
///
/// Docker's clients send all fields of an object, most of them with zero values (`null`, `false`,
/// 0, `""`, `[]`, `{}`). A field that is left when all that Hull honours have been taken may have
/// only such a value; all else is an error that names it. That holds for fields of future versions
/// of the API too.
pub(crate) struct Fields {
    object: &'static str,
    map: Map<String, Value>,
}

impl Fields {
    /// `object` is its name in error messages; empty for the body itself.
    pub(crate) fn new(object: &'static str, value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self { object, map }),
            Value::Null => Ok(Self { object, map: Map::new() }),
            other => Err(ApiError::bad_request(format!(
                "invalid JSON: {} must be an object, not {}",
                if object.is_empty() { "the body" } else { object },
                kind(&other)
            ))),
        }
    }

    /// Takes a field; the default if it is missing or null.
    pub(crate) fn take<T: DeserializeOwned + Default>(
        &mut self,
        name: &str,
    ) -> Result<T, ApiError> {
        let value = self.value(name);
        if value.is_null() {
            return Ok(T::default());
        }
        serde_json::from_value(value).map_err(|error| {
            ApiError::bad_request(format!("invalid JSON: {}: {error}", self.path(name)))
        })
    }

    /// Takes a field as it is; null if it is missing. As in Go, case does not matter.
    pub(crate) fn value(&mut self, name: &str) -> Value {
        if let Some(value) = self.map.shift_remove(name) {
            return value;
        }
        let other = self.map.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
        other.and_then(|key| self.map.shift_remove(&key)).unwrap_or(Value::Null)
    }

    /// Takes a field that Hull does nothing with because these values mean what Hull does anyway.
    pub(crate) fn accept(&mut self, name: &str, values: &[Value]) -> Result<(), ApiError> {
        let value = self.value(name);
        if is_zero(&value) || values.contains(&value) {
            return Ok(());
        }
        Err(unsupported(&self.path(name), &value))
    }

    /// Refuses what is left, unless it says nothing.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.map.iter().find(|(_, value)| !is_zero(value)) {
            Some((name, value)) => Err(unsupported(&self.path(name), value)),
            None => Ok(()),
        }
    }

    fn path(&self, name: &str) -> String {
        if self.object.is_empty() { name.to_owned() } else { format!("{}.{name}", self.object) }
    }
}

/// The error of a field that cannot be honoured.
pub(crate) fn unsupported(field: &str, value: &Value) -> ApiError {
    ApiError::bad_request(format!("{field} is not supported: {value}"))
}

/// True for Go's zero values and for objects and lists of nothing but them.
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(values) => values.iter().all(is_zero),
        Value::Object(values) => values.values().all(is_zero),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_must_say_nothing() {
        let mut fields = Fields::new(
            "HostConfig",
            json!({"memory": 5, "Binds": null, "X": {"Y": [0, ""]}, "MemorySwappiness": -1}),
        )
        .unwrap();
        assert_eq!(fields.take::<i64>("Memory").unwrap(), 5);
        fields.accept("MemorySwappiness", &[json!(-1)]).unwrap();
        fields.finish().unwrap();
    }

    #[test]
    fn what_is_not_honoured_is_named() {
        let fields = Fields::new("HostConfig", json!({"Binds": ["/a:/b"]})).unwrap();
        assert_eq!(
            fields.finish().unwrap_err().to_string(),
            "HostConfig.Binds is not supported: [\"/a:/b\"]"
        );
        let mut fields = Fields::new("", json!({"Tty": "yes"})).unwrap();
        let error = fields.take::<bool>("Tty").unwrap_err().to_string();
        assert!(error.starts_with("invalid JSON: Tty: "), "{error}");
        assert!(Fields::new("", json!([])).is_err());
    }
}
