//! `--format` of commands that show one thing: a table for people, JSON for programs.

use serde_json::Value;

use crate::commands::Invocation;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

/// How the answer is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Json,
    Table,
}

impl Form {
    /// Parses the arguments of a command that has this flag and nothing else.
    pub(super) fn parse(
        invocation: &Invocation<'_>,
        arguments: &[String],
    ) -> Result<Self, Failure> {
        let mut format = "table".to_owned();
        let mut flags = invocation.flags();
        flags.both(&mut format, 'f', "format", "Format of the output: \"table\" or \"json\"");
        flags.parse(arguments, Arity::None)?;
        match format.as_str() {
            "json" => Ok(Self::Json),
            "table" => Ok(Self::Table),
            _ => Err(Failure::new(format!(
                "invalid format {format:?}: must be one of \"table\", \"json\""
            ))),
        }
    }

    pub(super) fn print(
        self,
        value: &Value,
        table: impl FnOnce(&Value) -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Json => output::line(&value.to_string()),
            Self::Table => output::print(table(value)),
        }
    }
}
