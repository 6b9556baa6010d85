//! Templates.

use hull_engine::{TemplateInfo, TemplateShape};
use serde_json::{Value, json};

use super::time;
use crate::error::ApiError;

/// Writes one template.
pub(crate) fn template(template: &TemplateInfo) -> Value {
    json!({
        "Key": template.key,
        "Memory": template.memory_bytes,
        "CPUs": template.vcpus,
        "Accelerator": template.accelerator,
        "Kernel": template.kernel,
        "Created": template.created.map(|created| time(Some(created))),
        "LastUsed": template.last_used.map(|used| time(Some(used))),
        "Size": template.size_bytes,
        "State": template.state.as_str(),
    })
}

/// Reads the shape of a template to build: limits as a container has them.
pub(crate) fn template_shape(body: &Value) -> Result<TemplateShape, ApiError> {
    let mut shape = TemplateShape::default();
    let fields = match body {
        Value::Null => return Ok(shape),
        Value::Object(fields) => fields,
        other => return Err(ApiError::bad_request(format!("{other} is no object"))),
    };
    for (name, value) in fields {
        let number = match value {
            Value::Null => None,
            value => Some(value.as_i64().filter(|number| *number >= 0).ok_or_else(|| {
                ApiError::bad_request(format!("{name} must be a number, not negative: {value}"))
            })?),
        };
        // As everywhere in Docker's API, zero is nothing.
        let number = number.filter(|number| *number > 0);
        match name.as_str() {
            "Memory" => shape.memory = number,
            "NanoCpus" => shape.nano_cpus = number,
            _ => return Err(ApiError::bad_request(format!("{name} is not supported"))),
        }
    }
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_strictly() {
        let read = |body: Value| template_shape(&body).map_err(|error| error.to_string());
        assert_eq!(read(Value::Null).unwrap(), TemplateShape::default());
        assert_eq!(
            read(json!({"Memory": 512 << 20, "NanoCpus": 0})).unwrap(),
            TemplateShape { memory: Some(512 << 20), nano_cpus: None }
        );
        for wrong in [
            json!([]),
            json!({"Memory": -1}),
            json!({"Memory": "1g"}),
            json!({"NanoCpus": 1.5}),
            json!({"Cpus": 1}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
