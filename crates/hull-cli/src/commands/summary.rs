//! `--format` of `info` and `version`: a page for people, JSON, or a template.

use hull_format::{Data, Template};
use serde_json::Value;

use super::{Invocation, inspect};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

/// How the answer is printed.
pub(super) enum Summary {
    Page,
    Json,
    Template(Template),
}

impl Summary {
    /// Parses the arguments of a command that has this flag and nothing else.
    pub(super) fn parse(
        invocation: &Invocation<'_>,
        arguments: &[String],
    ) -> Result<Self, Failure> {
        let mut format = String::new();
        let mut flags = invocation.flags();
        flags.both(&mut format, 'f', "format", inspect::FORMAT);
        flags.parse(arguments, Arity::None)?;
        match format.as_str() {
            "" => Ok(Self::Page),
            "json" => Ok(Self::Json),
            text => inspect::template(text).map(Self::Template),
        }
    }

    pub(super) fn print(
        &self,
        value: &Value,
        page: impl FnOnce(&Value) -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Page => output::print(page(value)),
            Self::Json => output::line(&value.to_string()),
            Self::Template(template) => match template.execute(&Data::inspect(value)) {
                Ok(text) => output::line(&text),
                Err(error) => {
                    // As docker's client, which ends even an empty output with a line feed.
                    output::line("")?;
                    Err(Failure::new(error.to_string()))
                }
            },
        }
    }
}
