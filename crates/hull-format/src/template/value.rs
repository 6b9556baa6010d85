//! Values that templates see, and how Go prints them.

use std::rc::Rc;

use serde_json::Value;

use super::hints::{Hints, ObjectKind};

#[derive(Clone, Debug)]
pub(super) enum Val {
    /// Nothing at all: a key that a map has not.
    Missing,
    Null(Null),
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(Rc<str>),
    List(Rc<[Val]>),
    Object(Rc<Object>),
}

/// What a JSON `null` is in Go, by the type of its field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Null {
    Pointer,
    List,
    Map,
}

#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) kind: ObjectKind,
    /// In the order of the JSON text.
    pub(super) fields: Vec<(String, Val)>,
}

impl Object {
    pub(super) fn field(&self, name: &str) -> Option<&Val> {
        self.fields.iter().find(|f| f.0 == name).map(|f| &f.1)
    }

    /// In the order of Go's maps when printed and ranged over.
    pub(super) fn sorted(&self) -> Vec<&(String, Val)> {
        let mut fields: Vec<_> = self.fields.iter().collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields
    }
}

impl Val {
    pub(super) fn str(text: &str) -> Self {
        Self::Str(text.into())
    }

    /// Takes over a JSON value that is in the field `name`.
    pub(super) fn from_json(name: &str, value: &Value, hints: &Hints) -> Self {
        match value {
            Value::Null => Self::Null(hints.null(name)),
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) => Self::Uint(value),
                _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::str(text),
            Value::Array(items) => {
                let items = items.iter().map(|item| Self::from_json("", item, hints));
                Self::List(items.collect())
            }
            Value::Object(fields) => Self::Object(Rc::new(Object {
                kind: hints.object(name),
                fields: fields
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from_json(key, value, hints)))
                    .collect(),
            })),
        }
    }

    /// Takes over a JSON value as Go's maps and lists have it.
    pub(super) fn from_untyped_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Missing,
            Value::Array(items) => Self::List(items.iter().map(Self::from_untyped_json).collect()),
            Value::Object(fields) => Self::Object(Rc::new(Object {
                // A key that is not there is an error in Docker's client.
                kind: ObjectKind::Struct,
                fields: fields
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from_untyped_json(value)))
                    .collect(),
            })),
            value => Self::from_json("", value, &Hints::DOCKER),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Missing | Self::Null(_) => Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Uint(value) => (*value).into(),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => {
                (*value as i64).into()
            }
            Self::Float(value) => (*value).into(),
            Self::Str(text) => (**text).into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Object(object) => {
                let fields = object.fields.iter();
                Value::Object(fields.map(|(k, v)| (k.clone(), v.to_json())).collect())
            }
        }
    }

    /// Whether `if` takes it for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Null(_) => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Uint(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Object(object) => object.kind == ObjectKind::Struct || !object.fields.is_empty(),
        }
    }

    /// Name of its type as Go prints it for values that came from JSON.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Null(_) => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Object(_) => "map[string]interface {}",
        }
    }

    /// `%v`, as a value inside another one.
    pub(super) fn print(&self) -> String {
        match self {
            Self::Missing | Self::Null(Null::Pointer) => "<nil>".into(),
            Self::Null(Null::List) => "[]".into(),
            Self::Null(Null::Map) => "map[]".into(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Uint(value) => value.to_string(),
            Self::Float(value) => super::printf::float(*value),
            Self::Str(text) => text.to_string(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::print).collect();
                format!("[{}]", items.join(" "))
            }
            Self::Object(object) if object.kind == ObjectKind::Struct => {
                let fields: Vec<_> = object.fields.iter().map(|(_, v)| v.print()).collect();
                format!("{{{}}}", fields.join(" "))
            }
            Self::Object(object) => {
                let fields = object.sorted();
                let fields: Vec<_> =
                    fields.iter().map(|(k, v)| format!("{k}:{}", v.print())).collect();
                format!("map[{}]", fields.join(" "))
            }
        }
    }

    /// As an action prints it.
    pub(super) fn show(&self) -> String {
        match self {
            Self::Missing => "<no value>".into(),
            value => value.print(),
        }
    }
}

/// Go's `%q`.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                quoted.push_str(&format!("\\x{:02x}", c as u32));
            }
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
