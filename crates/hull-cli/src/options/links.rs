//! `--link`.

use hull_plan::Link;

use crate::flags::Value;

/// Links as they were given: `name[:alias]`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Links(pub(crate) Vec<String>);

impl Value for Links {
    fn set(&mut self, text: &str) -> Result<(), String> {
        Link::parse(text).map_err(|error| error.to_string())?;
        self.0.push(text.to_owned());
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "list"
    }
}
