//! Go's `text/template` over JSON, as far as Docker's users use it: everything but calls of
//! methods, with Docker's functions and with Go's errors word for word.

mod ast;
mod error;
mod exec;
mod functions;
mod hints;
mod lex;
mod parse;
pub(crate) mod printf;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

pub use error::Error;
use hints::{Hints, ObjectKind};
pub(crate) use value::quote;
use value::{Object, Val};

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    source: String,
    templates: parse::Templates,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// It is malformed, or calls a function that does not exist.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self { source: text.to_owned(), templates: parse::parse(text)? })
    }

    /// Executes the template on `data`.
    ///
    /// # Errors
    /// A field does not exist, or a value does not fit its use. What was printed before is lost,
    /// as it is in Docker's client.
    pub fn execute(&self, data: &Data) -> Result<String, Error> {
        exec::execute(&self.templates, &self.source, data)
    }
}

/// What a template is executed on.
#[derive(Clone, Debug)]
pub struct Data {
    root: Val,
    /// Go's name of the root's type, for errors. `None`: errors speak of a map.
    type_name: Option<String>,
    labels: BTreeMap<String, String>,
    methods: Option<fn(&Self, &str) -> String>,
    /// Functions leave the names of columns alone.
    header: bool,
    names: Names,
}

/// By which names fields are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Names {
    Both,
    Go,
    Json,
}

impl Data {
    /// An object as `docker inspect` shows it. Fields may be named as in JSON or as in Go
    /// (`.Id` and `.ID`).
    pub fn inspect(value: &Value) -> Self {
        Self {
            root: Val::from_json("", value, &Hints::DOCKER),
            type_name: None,
            labels: BTreeMap::new(),
            methods: None,
            header: false,
            names: Names::Both,
        }
    }

    /// The same, by Go's names only, as docker's client looks at first.
    pub fn typed(value: &Value) -> Self {
        Self { names: Names::Go, ..Self::inspect(value) }
    }

    /// The same, by JSON's names only, as docker's client looks where Go's do not fit: what is null
    /// has no value then, whatever its type.
    pub fn untyped(value: &Value) -> Self {
        let root = Val::from_untyped_json(value);
        Self { root, names: Names::Json, ..Self::inspect(&Value::Null) }
    }

    /// A row of a list (`docker ps`): columns by the names that templates use, in any order, the
    /// labels that `.Label "key"` looks up, and Go's name of the type, for errors
    /// (`*formatter.ContainerContext`).
    pub fn row(
        columns: &[(&str, Value)],
        labels: &BTreeMap<String, String>,
        type_name: &str,
    ) -> Self {
        let mut fields: Vec<_> = columns
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Val::from_json(name, value, &Hints::DOCKER)))
            .collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        Self {
            root: Val::Object(Rc::new(Object { kind: ObjectKind::Struct, fields })),
            type_name: Some(type_name.to_owned()),
            labels: labels.clone(),
            methods: Some(|data, key| data.labels.get(key).cloned().unwrap_or_default()),
            header: false,
            names: Names::Both,
        }
    }

    /// The first row of a table: column to title.
    pub(crate) fn header(titles: &[(&str, &str)]) -> Self {
        let fields =
            titles.iter().map(|(name, title)| ((*name).to_owned(), Val::str(title))).collect();
        Self {
            root: Val::Object(Rc::new(Object { kind: ObjectKind::Map, fields })),
            type_name: None,
            labels: BTreeMap::new(),
            methods: Some(|_, key| {
                let last = key.rsplit('.').next().unwrap_or(key);
                last.replace(['-', '_'], " ")
            }),
            header: true,
            names: Names::Both,
        }
    }

    fn is_root(&self, value: &Val) -> bool {
        match (&self.root, value) {
            (Val::Object(root), Val::Object(value)) => Rc::ptr_eq(root, value),
            _ => false,
        }
    }
}
