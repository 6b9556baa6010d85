//! `--env`.

use crate::context::raw_variable;
use crate::flags::Value;

/// Variables of a container's environment, `NAME=value`. A name alone takes the value that it has
/// here; one that has none here stays alone and is removed by the daemon.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Env(pub(crate) Vec<String>);

impl Value for Env {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let name = text.split('=').next().unwrap_or_default();
        if name.is_empty() {
            return Err(format!("invalid environment variable: {text}"));
        }
        let value = if text.contains('=') { None } else { raw_variable(name) };
        self.0.push(match value {
            Some(value) => format!("{name}={value}"),
            None => text.to_owned(),
        });
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "list"
    }
}
